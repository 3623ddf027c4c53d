import Table from 'cli-table3';

import type { Result } from './scenario.ts';

const HEAD = [
  ...['scenario', 'signals', 'arrived', 'duplicates (allowed)', 'dead', 'skipped'],
  ...['requests', 'seconds', 'verdict'],
];
const NAMED = 10;

export const drawTable = (results: Result[]): string => {
  const table = new Table({ head: HEAD, style: { head: [], border: [], compact: true } });
  for (const result of results) {
    const { name, signals, arrived, duplicates, allowed, dead, skipped } = result;
    const { requests, seconds, findings } = result;
    table.push([
      ...[name, signals, arrived, `${duplicates} (${allowed})`, dead, skipped],
      ...[requests, seconds, findings.length === 0 ? 'ok' : 'FAILED'],
    ]);
  }
  return table.toString();
};

/** What a person needs who wants to know why. */
export const describe = ({ name, findings, logs }: Result, seed: number): string =>
  [
    `${name} (seed ${seed}; logs: ${logs})`,
    ...findings.map(({ what, signalIds }) => {
      const named = signalIds.slice(0, NAMED).join(', ');
      const rest = signalIds.length > NAMED ? ` and ${signalIds.length - NAMED} more` : '';
      return `  ${what}${named === '' ? '' : `: ${named}${rest}`}`;
    }),
  ].join('\n');
