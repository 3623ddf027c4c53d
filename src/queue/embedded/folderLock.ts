import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';

import { hasCode } from '../../hasCode.ts';

type Content = Record<string, unknown>;
type Lock = z.infer<typeof LockSchema>;
export type FolderLock = Awaited<ReturnType<typeof lockFolder>>;

/** Somebody else has the folder, or had it and left a lock that nobody can read. */
export class FolderLockedError extends Error {
  override readonly name = 'FolderLockedError';
}

const FILE = 'dispatcher.lock';

// The id becomes part of a file's name, so it is never just any text that was found on disk.
const LockSchema = z.looseObject({ id: z.uuid(), pid: z.int().positive() });

// The locks of this process. A lock with our pid that is not among them was left behind by an
// earlier life of the container: there, process numbers repeat.
const ours = new Set<string>();

const isAlive = ({ id, pid }: Lock) => {
  if (pid === process.pid) return ours.has(id);
  try {
    return process.kill(pid, 0);
  } catch (err) {
    // Somebody else's process, but a process.
    return hasCode(err, 'EPERM');
  }
};

/** `undefined` is a file that is no lock, as when its writer has created but not yet filled it. */
const read = async (path: string) => {
  try {
    return LockSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
  } catch (err) {
    if (err instanceof SyntaxError) return undefined;
    if (hasCode(err, 'ENOENT')) return 'absent';
    throw err;
  }
};

const readPatiently = async (path: string) => {
  for (let triesLeft = 50; triesLeft > 0; triesLeft--) {
    const found = await read(path);
    if (found !== undefined) return found;
    await delay(20);
  }
  return undefined;
};

const create = async (path: string, lock: Lock) => {
  try {
    await writeFile(path, JSON.stringify(lock), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (err) {
    if (hasCode(err, 'EEXIST')) return false;
    throw err;
  }
};

const replace = async (path: string, lock: Lock) => {
  const draft = `${path}.${randomUUID()}.draft`;
  await create(draft, lock);
  await rename(draft, path);
};

const lockedBy = (folder: string, path: string, found: Lock | undefined) => {
  const holder = found ? `process ${found.pid}` : 'a process that cannot be told from its lock';
  const advice = `If that is not a dispatcher, delete ${path}`;
  return new FolderLockedError(`${folder} is used by ${holder}. ${advice}`);
};

/**
 * Takes the lock at `path`, or throws. A dead one cannot just be deleted and created anew: of two
 * who try, the slower would delete the new lock of the faster. So whoever wants to replace the dead
 * lock X first takes the lock `path.X`, in this same way, and then looks whether X is still there:
 * if it is, nobody has replaced it, and nobody else may.
 */
const take = async (folder: string, path: string, lock: Lock): Promise<void> => {
  while (!(await create(path, lock))) {
    const found = await readPatiently(path);
    if (found === 'absent') continue;
    if (found === undefined || isAlive(found)) throw lockedBy(folder, path, found);

    const right = `${path}.${found.id}`;
    await take(folder, right, lock);
    try {
      const now = await read(path);
      if (now === 'absent' || now?.id !== found.id) continue;
      await replace(path, lock);
      return;
    } finally {
      await rm(right, { force: true });
    }
  }
};

/**
 * One process at a time has the folder. `content` is for others to read (`readLock`); it may hold
 * secrets, so only the owner of the file may. Throws `FolderLockedError` if the folder is taken.
 */
export const lockFolder = async (folder: string, content: Content) => {
  const path = join(folder, FILE);
  const identity = { id: randomUUID(), pid: process.pid };
  const hold = async () => {
    const found = await read(path);
    return found !== 'absent' && found?.id === identity.id;
  };

  await mkdir(folder, { recursive: true, mode: 0o700 });
  ours.add(identity.id);
  try {
    await take(folder, path, { ...content, ...identity });
  } catch (err) {
    ours.delete(identity.id);
    throw err;
  }

  return {
    /** Replaces the content as a whole: a reader finds the old or the new one. */
    update: async (next: Content): Promise<void> => {
      if (!(await hold())) throw new Error(`${path} is no longer the lock of this process`);
      await replace(path, { ...next, ...identity });
    },
    release: async (): Promise<void> => {
      if (await hold()) await rm(path, { force: true });
      ours.delete(identity.id);
    },
  };
};

/** What the process that has the folder wrote into its lock, with its `pid`; undefined if none has. */
export const readLock = async (
  folder: string,
): Promise<(Content & { pid: number }) | undefined> => {
  const found = await read(join(folder, FILE));
  if (found === 'absent' || found === undefined || !isAlive(found)) return undefined;
  const { id: _, ...content } = found;
  return content;
};
