import { open, rm } from 'node:fs/promises';

import { ConfigError } from '../config.ts';
import { messageOf } from '../messageOf.ts';
import { writeLetterLine } from '../queue/readLetterLine.ts';
import type { DeadLetter } from '../schemas/deadLetter.ts';
import { isObject } from '../schemas/isObject.ts';
import { atDesk, complain } from './inspect.ts';
import { type FilterOptions, readFilter, withoutProblems } from './readFilter.ts';

const STANDARD_OUTPUT = '-';
// There are seek tokens in it.
const OWNER_ONLY = 0o600;

/**
 * `seek-signals dead-letters export [FILE]`: letters whole, one a line. A file that could not be
 * finished goes again: whoever discards by it what it does not hold would lose that.
 */
export const exportLetters = (
  env: NodeJS.ProcessEnv,
  path: string,
  options: FilterOptions,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const filter = withoutProblems((refuse) => readFilter(options, refuse));
  return atDesk(env, async (desk) => {
    const output = path === STANDARD_OUTPUT ? toStandardOutput() : await openOutput(path);
    let isTold = false;
    void termination.then(() => {
      isTold = true;
    });
    const counts = { exported: 0, unsealed: 0 };
    try {
      for await (const letter of desk.exportLetters(filter)) {
        if (isTold) throw new Error('Told to stop');
        await output.write(writeLetterLine(letter));
        counts.exported += 1;
        if (isUnsealed(letter)) counts.unsealed += 1;
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
      // Letters may be discarded because it is here.
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
