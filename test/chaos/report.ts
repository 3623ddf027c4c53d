import Table from 'cli-table3';

import type { Result } from './scenario.ts';

const HEAD = [
  'scenario',
  'signals',
  'arrived',
  'duplicates (allowed)',
  'dead',
  'skipped',
  'requests',
  'seconds',
  'result',
];
const MAX_IDS_SHOWN = 10;

export const renderTable = (results: Result[]): string => {
  const table = new Table({ head: HEAD, style: { head: [], border: [], compact: true } });
  for (const result of results) {
    table.push([
      result.name,
      result.signals,
      result.arrived,
      `${result.duplicates} (${result.allowedDuplicates})`,
      result.dead,
      result.skipped,
      result.requests,
      result.seconds,
      result.violations.length === 0 ? 'ok' : 'FAILED',
    ]);
  }
  return table.toString();
};

/** The message of a failed scenario: how to repeat it, where its logs are, and each violation. */
export const renderViolations = ({ name, violations, logs }: Result, seed: number): string =>
  [
    `${name} (seed ${seed}; logs: ${logs})`,
    ...violations.map(({ what, signalIds }) => {
      const shown = signalIds.slice(0, MAX_IDS_SHOWN).join(', ');
      const hidden = signalIds.length - MAX_IDS_SHOWN;
      const rest = hidden > 0 ? ` and ${hidden} more` : '';
      return `  ${what}${shown === '' ? '' : `: ${shown}${rest}`}`;
    }),
  ].join('\n');
