import { open, rm } from 'node:fs/promises';
import { ConfigError } from '../../config/config.ts';
import { writeExportLine } from '../../deadLetters/transfer.ts';
import { messageOf } from '../../runtime/errors.ts';
import type { DeadLetter } from '../../schemas/deadLetter.ts';
import { isObject } from '../../schemas/json.ts';
import type { AdminClient } from '../admin/adminClient.ts';
import { type FilterOptions, readFilter, withoutProblems } from '../io/filterOptions.ts';
import { type Line, openInput, readLines } from '../io/lines.ts';
import { complain, type Output, print, withAdminClient } from './inspect.ts';

const MEBIBYTE = 1024 * 1024;
// What the HTTP API takes at once; fewer lines, for each is looked up.
const BATCH = { lines: 200, bytes: 4 * MEBIBYTE };
const TOO_LONG = 'Is over 4 MiB long';

/** What became of a file. */
type Report = {
  imported: number;
  /** Left out: they are here already, were settled, or are of an application that was erased. */
  skipped: number;
  invalid: number;
  /** Lines from here on were not looked at, or not answered. */
  stoppedAtLine?: number | undefined;
};

/** `seek-signals dead-letters import FILE`: dead letters that were exported, one a line. */
export const importDeadLetters = (
  env: NodeJS.ProcessEnv,
  path: string,
  options: Output,
  termination: Promise<NodeJS.Signals>,
): Promise<number> =>
  withAdminClient(env, async (admin) => {
    const { stream } = await openInput(path);
    let isTold = false;
    void termination.then(() => {
      isTold = true;
      stream.destroy();
    });
    const run = createRun(admin);
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
    const isComplete = failure === undefined && !isTold;
    const stoppedAtLine = isComplete ? undefined : run.nextLine();
    print({ ...run.counts, stoppedAtLine }, options, render);
    if (!isComplete) {
      complain(
        `Stopped before line ${stoppedAtLine}: ${isTold ? 'told to' : failure}\nRun it again: what was imported is skipped, and left as it is`,
      );
    }
    return isComplete && run.counts.invalid === 0 ? 0 : 1;
  });

type Held = { number: number; bytes: Buffer };

const createRun = (admin: Pick<AdminClient, 'importDeadLetters'>) => {
  const counts = { imported: 0, skipped: 0, invalid: 0 };
  let batch: Held[] = [];
  let size = 0;
  let nextLine = 1;

  const refuse = (number: number | undefined, message: string): void => {
    counts.invalid += 1;
    complain(`line ${number}: ${message}`);
  };

  const flush = async (): Promise<void> => {
    const [last] = batch.slice(-1);
    if (last === undefined) return;
    const { imported, skipped, invalid } = await admin.importDeadLetters(
      batch.map(({ bytes }) => bytes),
    );
    counts.imported += imported;
    counts.skipped += skipped;
    for (const { line, message } of invalid) refuse(batch[line - 1]?.number, message);
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

const render = ({ imported, skipped, invalid }: Report): string =>
  `imported ${imported}, skipped ${skipped}, invalid ${invalid}`;

const STANDARD_OUTPUT = '-';
// There are seek tokens in it.
const OWNER_ONLY = 0o600;

/**
 * `seek-signals dead-letters export [FILE]`: dead letters whole, one a line. A file that could not be
 * finished goes again: whoever discards by it what it does not hold would lose that.
 */
export const exportDeadLetters = (
  env: NodeJS.ProcessEnv,
  path: string,
  options: FilterOptions,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const filter = withoutProblems((refuse) => readFilter(options, refuse));
  return withAdminClient(env, async (admin) => {
    const output = path === STANDARD_OUTPUT ? toStandardOutput() : await openOutput(path);
    let isTold = false;
    void termination.then(() => {
      isTold = true;
    });
    const counts = { exported: 0, unsealed: 0 };
    try {
      for await (const deadLetter of admin.exportDeadLetters(filter)) {
        if (isTold) throw new Error('Told to stop');
        await output.write(writeExportLine(deadLetter));
        counts.exported += 1;
        if (isUnsealed(deadLetter)) counts.unsealed += 1;
      }
      await output.finish();
    } catch (err) {
      await output.abandon();
      const reason = messageOf(err);
      complain(`Not exported: ${reason}; what was written is not the whole`);
      return 1;
    }
    complain(
      `exported ${counts.exported}${path === STANDARD_OUTPUT ? '' : ` to ${path}`}; they lie in the dead letters as before`,
    );
    if (counts.unsealed > 0) {
      complain(
        `${counts.unsealed} of them hold their seek token in the clear: keep it to yourself`,
      );
    }
    return 0;
  });
};

type Sink = {
  write: (text: string) => Promise<unknown>;
  finish: () => Promise<void>;
  /** What was written is not the whole. */
  abandon: () => Promise<void>;
};

/** A new file: what is there already is somebody's. */
const openOutput = async (path: string): Promise<Sink> => {
  const file = await open(path, 'wx', OWNER_ONLY).catch((err: NodeJS.ErrnoException) => {
    const reason = err.code === 'EEXIST' ? 'is there already' : `cannot be written: ${err.code}`;
    throw new ConfigError(`${path} ${reason}`);
  });
  return {
    write: (text) => file.appendFile(text),
    finish: async () => {
      // Dead letters may be discarded because it is here.
      await file.sync();
      await file.close();
    },
    abandon: async () => {
      await file.close();
      await rm(path);
    },
  };
};

const toStandardOutput = (): Sink => {
  const { stdout } = process;
  // Whoever writes hears of it.
  stdout.on('error', () => {});
  return {
    write: (text) =>
      new Promise<void>((resolve, reject) => {
        stdout.write(text, (err) => (err ? reject(err) : resolve()));
      }),
    finish: async () => {},
    abandon: async () => {},
  };
};

const isUnsealed = ({ job }: DeadLetter): boolean =>
  isObject(job) && isObject(job.signal) && typeof job.signal.token === 'string';
