import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { ConfigError } from '../../config/config.ts';
import { messageOf } from '../../runtime/errors.ts';

const LINE_BREAK = 0x0a;

export type Line = {
  /** Counted from 1. */
  number: number;
  /** Without the line break; `undefined` if the line is longer than `maxBytes`. */
  bytes: Buffer | undefined;
  /** Offset of the end of the line, in bytes. */
  end: number;
};

/** Yields the lines of a file as bytes. The caller decodes them, so that invalid UTF-8 can be written unchanged. */
export const readLines = async function* (
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Line> {
  let parts: Buffer[] = [];
  let size = 0;
  let number = 0;
  let end = 0;
  const add = (part: Buffer): void => {
    size += part.byteLength;
    end += part.byteLength;
    if (size <= maxBytes) parts.push(part);
    else parts = [];
  };
  const finishLine = (): Line => {
    number += 1;
    const bytes = size <= maxBytes ? Buffer.concat(parts) : undefined;
    parts = [];
    size = 0;
    return { number, bytes, end };
  };

  for await (const bytes of chunks) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let start = 0;
    for (
      let next = chunk.indexOf(LINE_BREAK);
      next !== -1;
      next = chunk.indexOf(LINE_BREAK, start)
    ) {
      add(chunk.subarray(start, next));
      end += 1;
      start = next + 1;
      yield finishLine();
    }
    add(chunk.subarray(start));
  }
  if (size > 0) yield finishLine();
};

type LineConsumer = { add: (line: Line) => Promise<void>; flush: () => Promise<void> };

/**
 * Passes the lines of a file to `consumer`, until the end, a failure, SIGTERM or SIGINT. Resolves with the
 * reason if it stopped before the end. Rejects only with `ConfigError`, which is wrong usage.
 */
export const consumeLines = async (
  stream: Readable,
  maxBytes: number,
  { add, flush }: LineConsumer,
  termination: Promise<NodeJS.Signals>,
): Promise<string | undefined> => {
  let isInterrupted = false;
  void termination.then(() => {
    isInterrupted = true;
    stream.destroy();
  });
  let failure: string | undefined;
  try {
    for await (const line of readLines(stream, maxBytes)) {
      await add(line);
      if (isInterrupted) break;
    }
    await flush();
  } catch (err) {
    if (err instanceof ConfigError) throw err;
    failure = messageOf(err);
  }
  return isInterrupted ? 'interrupted' : failure;
};

export const STANDARD_INPUT = '-';

/** Opens a file, or standard input. `bytes` is the size of the file if it is known. */
export const openInput = async (path: string) => {
  if (path === STANDARD_INPUT) return { stream: process.stdin, bytes: undefined };
  try {
    const file = await open(path);
    const stat = await file.stat();
    if (stat.isDirectory()) throw new ConfigError(`${path} is a folder; give a file`);
    return { stream: file.createReadStream(), bytes: stat.isFile() ? stat.size : undefined };
  } catch (err) {
    if (err instanceof ConfigError) throw err;
    const code = err instanceof Error && 'code' in err ? err.code : err;
    throw new ConfigError(`Failed to read ${path}: ${code}`);
  }
};
