import Table from 'cli-table3';
import logUpdate from 'log-update';
import colours from 'picocolors';

import { printableLine } from '../../runtime/printable.ts';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import { renderState } from '../io/render.ts';

type SceneRow = { title: string; record?: SignalRecord };

/** Shows the progress: on a terminal a table that updates in place, elsewhere one line for each change. */
export const createScreen = (titles: string[]) => {
  const isTerminal = process.stdout.isTTY === true;
  const rows: SceneRow[] = titles.map((title) => ({ title }));

  const draw = (): string => {
    const table = new Table({ head: ['signal', 'state', 'attempts', 'last answer'] });
    for (const { title, record } of rows) {
      table.push([
        title,
        record === undefined ? '' : renderState(record.state),
        record === undefined ? '' : String(record.attempts.length),
        printableLine(record?.attempts.at(-1)?.code ?? ''),
      ]);
    }
    return table.toString();
  };

  return {
    say: (text: string): void => {
      if (isTerminal) logUpdate.clear();
      process.stdout.write(`${text}\n`);
      if (isTerminal) logUpdate(draw());
    },

    /** Does nothing if the record has not changed since the last call. */
    show: (title: string, record: SignalRecord): void => {
      const row = rows.find((candidate) => candidate.title === title);
      if (row === undefined || isSame(row.record, record)) return;
      row.record = record;
      if (isTerminal) {
        logUpdate(draw());
        return;
      }
      const last = record.attempts.at(-1);
      const answer = last?.code === undefined ? '' : `, ${printableLine(last.code)}`;
      process.stdout.write(
        `    ${renderState(record.state)} after ${attemptsOf(record)}${answer}\n`,
      );
    },

    end: (): void => {
      if (isTerminal) logUpdate.done();
    },
  };
};

export type Screen = ReturnType<typeof createScreen>;

export const attemptsOf = ({ attempts }: SignalRecord): string =>
  `${attempts.length} attempt${attempts.length === 1 ? '' : 's'}`;

export const heading = (text: string): string => `\n${colours.bold(text)}`;

const isSame = (before: SignalRecord | undefined, after: SignalRecord): boolean =>
  before?.state === after.state &&
  before.attempts.length === after.attempts.length &&
  before.redrives === after.redrives;
