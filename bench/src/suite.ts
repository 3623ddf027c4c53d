import type { Ratio, Row } from './report.js';

export type Context = {
  rounds: number;
  note: (text: string) => void;
  /** The rows of the suites that ran before. */
  earlierRows: readonly Row[];
};

export type Results = { ratios: Ratio[]; rows: Row[] };

export type Suite = (context: Context) => Promise<Results>;
