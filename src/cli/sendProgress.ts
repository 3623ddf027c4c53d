import { Presets, SingleBar } from 'cli-progress';

import { printable } from './printable.ts';

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
