import { type FileHandle, open } from 'node:fs/promises';

import { hasCode } from '../hasCode.ts';

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
