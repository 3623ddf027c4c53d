import { type FileHandle, open } from 'node:fs/promises';
import { Presets, SingleBar } from 'cli-progress';
import { hasCode } from '../../runtime/errors.ts';
import { printMessage } from '../io/output.ts';

/** Shows a progress bar on a terminal, and nothing elsewhere. `bytes` is the size of the file if it is known. */
export const startProgress = (bytes: number | undefined) => {
  const began = performance.now();
  const rateOf = (lines: number) => Math.round((lines / (performance.now() - began)) * 1_000);
  const bar = new SingleBar(
    {
      format:
        bytes === undefined
          ? '{lines} lines, {rate}/s'
          : '{bar} {percentage} % · {lines} lines · {rate}/s · {eta_formatted} left',
      stream: process.stderr,
      hideCursor: true,
      etaBuffer: 50,
      // The command handles SIGINT and SIGTERM itself.
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  const { isTTY } = process.stderr;
  if (isTTY) bar.start(bytes ?? 1, 0, { lines: 0, rate: 0 });

  return {
    update: (end: number, lines: number): void => {
      if (isTTY) bar.update(bytes === undefined ? 0 : end, { lines, rate: rateOf(lines) });
    },
    /** Prints lines above the bar. */
    printLines: (...lines: string[]): void => {
      if (isTTY) process.stderr.write(CLEAR_LINE);
      printMessage(...lines);
    },
    stop: (): void => {
      if (isTTY) bar.stop();
    },
  };
};

const CLEAR_LINE = '\r\u001b[K';

// The lines contain seek tokens.
const OWNER_ONLY = 0o600;

/**
 * A file for rejected lines, created with the first of them. If `path` exists, it may hold rejects that an
 * operator is correcting: the new file then gets a number after its name.
 */
export const createRejects = (path: string) => {
  let name: string | undefined;
  let opened: Promise<FileHandle> | undefined;

  const createFile = async (number = 1): Promise<FileHandle> => {
    const candidate = number === 1 ? path : `${path}.${number}`;
    try {
      const file = await open(candidate, 'wx', OWNER_ONLY);
      name = candidate;
      return file;
    } catch (err) {
      if (!hasCode(err, 'EEXIST')) throw err;
      return createFile(number + 1);
    }
  };

  return {
    add: async (line: Buffer): Promise<void> => {
      opened ??= createFile();
      await (await opened).appendFile(Buffer.concat([line, Buffer.from('\n')]));
    },
    /** `undefined` until a line is rejected. */
    name: () => name,
    close: async (): Promise<void> => (await opened)?.close(),
  };
};

export type Rejects = ReturnType<typeof createRejects>;
