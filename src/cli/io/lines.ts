import { open } from 'node:fs/promises';
import { ConfigError } from '../../config/config.ts';

const LINE_BREAK = 0x0a;

export type Line = {
  /** From 1. */
  number: number;
  /** Without the break; `undefined` where it is longer than `most`. */
  bytes: Buffer | undefined;
  /** Where it ends in the file, in bytes. */
  end: number;
};

/** The lines of a file as they come, and as they are: what they are to be read as is not decided here. */
export const readLines = async function* (
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  most: number,
): AsyncGenerator<Line> {
  let parts: Buffer[] = [];
  let size = 0;
  let number = 0;
  let end = 0;
  const add = (part: Buffer): void => {
    size += part.byteLength;
    end += part.byteLength;
    if (size <= most) parts.push(part);
    else parts = [];
  };
  const line = (): Line => {
    number += 1;
    const bytes = size <= most ? Buffer.concat(parts) : undefined;
    [parts, size] = [[], 0];
    return { number, bytes, end };
  };

  for await (const bytes of chunks) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    for (let next = chunk.indexOf(LINE_BREAK); next !== -1; next = chunk.indexOf(LINE_BREAK, at)) {
      add(chunk.subarray(at, next));
      end += 1;
      at = next + 1;
      yield line();
    }
    add(chunk.subarray(at));
  }
  if (size > 0) yield line();
};

export const STANDARD_INPUT = '-';

/** A file that somebody names, or standard input; `bytes`: how long it is, where that is known. */
export const openInput = async (path: string) => {
  if (path === STANDARD_INPUT) return { stream: process.stdin, bytes: undefined };
  try {
    const file = await open(path);
    const stat = await file.stat();
    if (stat.isDirectory()) throw new ConfigError(`${path} is a folder`);
    return { stream: file.createReadStream(), bytes: stat.isFile() ? stat.size : undefined };
  } catch (err) {
    if (err instanceof ConfigError) throw err;
    const code = err instanceof Error && 'code' in err ? err.code : err;
    throw new ConfigError(`${path} cannot be read: ${code}`);
  }
};
