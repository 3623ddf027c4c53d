import { type FileHandle, open } from 'node:fs/promises';
import { Presets, SingleBar } from 'cli-progress';
import { hasCode } from '../../runtime/errors.ts';
import { printable } from '../io/terminal.ts';

/** A bar on a terminal, and nothing elsewhere. `bytes`: how long the file is, where that is known. */
export const startProgress = (bytes: number | undefined) => {
  const began = performance.now();
  const rate = (lines: number) => Math.round((lines / (performance.now() - began)) * 1_000);
  const bar = new SingleBar(
    {
      format:
        bytes === undefined
          ? '{lines} lines, {rate}/s'
          : '{bar} {percentage} % · {lines} lines · {rate}/s · {eta_formatted} left',
      stream: process.stderr,
      hideCursor: true,
      etaBuffer: 50,
      // Termination is ours to see to.
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  const { isTTY } = process.stderr;
  if (isTTY) bar.start(bytes ?? 1, 0, { lines: 0, rate: 0 });

  return {
    update: (end: number, lines: number): void => {
      if (isTTY) bar.update(bytes === undefined ? 0 : end, { lines, rate: rate(lines) });
    },
    /** Says something in a line of its own. */
    say: (text: string): void => {
      process.stderr.write(`${isTTY ? CLEAR_LINE : ''}${printable(text)}\n`);
    },
    stop: (): void => {
      if (isTTY) bar.stop();
    },
  };
};

const CLEAR_LINE = '\r\u001b[K';

// There are seek tokens in it.
const OWNER_ONLY = 0o600;

/**
 * A file for what is turned away, made with the first of it. `path` may be taken, by what was turned
 * away before and is being corrected: then there is a number behind its name.
 */
export const createRejects = (path: string) => {
  let name: string | undefined;
  let opened: Promise<FileHandle> | undefined;

  const openFree = async (number = 1): Promise<FileHandle> => {
    const candidate = number === 1 ? path : `${path}.${number}`;
    try {
      const file = await open(candidate, 'wx', OWNER_ONLY);
      name = candidate;
      return file;
    } catch (err) {
      if (!hasCode(err, 'EEXIST')) throw err;
      return openFree(number + 1);
    }
  };

  return {
    add: async (line: Buffer): Promise<void> => {
      opened ??= openFree();
      await (await opened).appendFile(Buffer.concat([line, Buffer.from('\n')]));
    },
    /** `undefined` as long as nothing was turned away. */
    name: () => name,
    close: async (): Promise<void> => (await opened)?.close(),
  };
};

export type Rejects = ReturnType<typeof createRejects>;
