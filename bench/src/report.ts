import type { Summary } from './statistics.js';

export type Ratio = { what: string; goal: string; ratio: Summary };
export type Row = { what: string; unit: string; value: Summary };

const short = (value: number): string =>
  Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
const spread = ({ median, min, max }: Summary): string =>
  min === max ? short(median) : `${short(median)} (${short(min)}–${short(max)})`;

const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');

/** Ratios come first: they apply to other machines too. Medians, with minimum and maximum in brackets. */
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
