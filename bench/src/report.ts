import type { Ratio, Row } from './main.js';
import type { Summary } from './statistics.js';

const short = (value: number): string =>
  Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
const spread = ({ median, least, most }: Summary): string =>
  least === most ? short(median) : `${short(median)} (${short(least)}–${short(most)})`;

const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');

/** Ratios first: they hold on other machines, too. Medians, least and most in brackets. */
export const renderReport = (results: { ratios: Ratio[]; rows: Row[] }): string =>
  [
    table(
      ['ratio', 'measured', 'goal'],
      results.ratios.map(({ what, ratio, goal }) => [what, spread(ratio), goal]),
    ),
    table(
      ['what', 'measured', 'unit'],
      results.rows.map(({ what, value, unit }) => [what, spread(value), unit]),
    ),
  ].join('\n');
