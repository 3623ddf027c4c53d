import { ConfigError } from '../config.ts';
import { messageOf } from '../messageOf.ts';
import type { Desk } from './desk.ts';
import { atDesk, complain, type Output, print } from './inspect.ts';
import { type Line, readLines } from './lines.ts';
import { openInput } from './openInput.ts';

const MEBIBYTE = 1024 * 1024;
// What the HTTP API takes at once; fewer lines, for each is looked up.
const BATCH = { lines: 200, bytes: 4 * MEBIBYTE };
const TOO_LONG = 'Is over 4 MiB long';

/** What became of a file. */
type Report = {
  imported: number;
  /** Left out: they are here already, were settled, or are of an application that was erased. */
  known: number;
  bad: number;
  /** Lines from here on were not looked at, or not answered. */
  stoppedAtLine?: number | undefined;
};

/** `seek-signals dead-letters import FILE`: letters that were exported, one a line. */
export const importLetters = (
  env: NodeJS.ProcessEnv,
  path: string,
  options: Output,
  termination: Promise<NodeJS.Signals>,
): Promise<number> =>
  atDesk(env, async (desk) => {
    const { stream } = await openInput(path);
    let isTold = false;
    void termination.then(() => {
      isTold = true;
      stream.destroy();
    });
    const run = createRun(desk);
    let failure: string | undefined;
    try {
      for await (const line of readLines(stream, BATCH.bytes)) {
        await run.take(line);
        if (isTold) break;
      }
      await run.flush();
    } catch (err) {
      if (err instanceof ConfigError) throw err;
      failure = messageOf(err);
    }
    const isWhole = failure === undefined && !isTold;
    const stoppedAtLine = isWhole ? undefined : run.nextLine();
    print({ ...run.counts, stoppedAtLine }, options, render);
    if (!isWhole) {
      complain(
        `Stopped before line ${stoppedAtLine}: ${isTold ? 'told to' : failure}\nRun it again: what was imported is known, and left as it is`,
      );
    }
    return isWhole && run.counts.bad === 0 ? 0 : 1;
  });

type Held = { number: number; bytes: Buffer };

const createRun = (desk: Pick<Desk, 'importLetters'>) => {
  const counts = { imported: 0, known: 0, bad: 0 };
  let batch: Held[] = [];
  let size = 0;
  let nextLine = 1;

  const refuse = (number: number | undefined, message: string): void => {
    counts.bad += 1;
    complain(`line ${number}: ${message}`);
  };

  const flush = async (): Promise<void> => {
    const [last] = batch.slice(-1);
    if (last === undefined) return;
    const { imported, known, bad } = await desk.importLetters(batch.map(({ bytes }) => bytes));
    counts.imported += imported;
    counts.known += known;
    for (const { line, message } of bad) refuse(batch[line - 1]?.number, message);
    nextLine = last.number + 1;
    [batch, size] = [[], 0];
  };

  return {
    counts,
    flush,
    nextLine: () => nextLine,
    take: async ({ number, bytes }: Line): Promise<void> => {
      if (bytes === undefined) {
        // In their order, so that it can be said how far it came.
        await flush();
        refuse(number, TOO_LONG);
        nextLine = number + 1;
        return;
      }
      // With the break between them.
      if (size + batch.length + bytes.byteLength > BATCH.bytes) await flush();
      batch.push({ number, bytes });
      size += bytes.byteLength;
      if (batch.length === BATCH.lines) await flush();
    },
  };
};

const render = ({ imported, known, bad }: Report): string =>
  `imported ${imported}, known ${known}, bad ${bad}`;
