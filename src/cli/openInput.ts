import { open } from 'node:fs/promises';

import { ConfigError } from '../config.ts';

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
