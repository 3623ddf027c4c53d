import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { hasCode } from '../../runtime/errors.ts';

type Content = Record<string, unknown>;
type Lock = z.infer<typeof LockSchema>;
export type FolderLock = Awaited<ReturnType<typeof lockFolder>>;

/** Another process uses the folder, or left a lock there that cannot be read. */
export class FolderLockedError extends Error {
  override readonly name = 'FolderLockedError';
}

const FILE = 'dispatcher.lock';

// The id becomes part of a file name, so no other text from the disk may pass as one.
const LockSchema = z.looseObject({ id: z.uuid(), pid: z.int().positive() });

// The locks of this process. A restarted container repeats process ids, so a lock with our pid that is
// not among these belongs to an earlier process.
const ownIds = new Set<string>();

const isHolderRunning = ({ id, pid }: Lock) => {
  if (pid === process.pid) return ownIds.has(id);
  try {
    return process.kill(pid, 0);
  } catch (err) {
    // The process exists, but belongs to another user.
    return hasCode(err, 'EPERM');
  }
};

/** `undefined`: the file is no lock, for example because its writer has created but not yet filled it. */
const read = async (path: string) => {
  try {
    return LockSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
  } catch (err) {
    if (err instanceof SyntaxError) return undefined;
    if (hasCode(err, 'ENOENT')) return 'absent';
    throw err;
  }
};

const readWithRetries = async (path: string) => {
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

const lockedError = (folder: string, path: string, found: Lock | undefined) => {
  const holder = found ? `process ${found.pid}` : 'a process that its lock does not name';
  const advice = `If that is not a dispatcher, delete ${path}`;
  return new FolderLockedError(`${folder} is used by ${holder}. ${advice}`);
};

/**
 * Takes the lock at `path`, or throws. The lock of a dead process cannot just be deleted and created
 * again: of two processes that try, the slower would delete the new lock of the faster. So a process
 * that replaces the dead lock X first takes the lock `path.X`, in this same way. If X is then still
 * there, no other process has replaced it, and none may.
 */
const take = async (folder: string, path: string, lock: Lock): Promise<void> => {
  while (!(await create(path, lock))) {
    const found = await readWithRetries(path);
    if (found === 'absent') continue;
    if (found === undefined || isHolderRunning(found)) throw lockedError(folder, path, found);

    const replacementLock = `${path}.${found.id}`;
    await take(folder, replacementLock, lock);
    try {
      const now = await read(path);
      if (now === 'absent' || now?.id !== found.id) continue;
      await replace(path, lock);
      return;
    } finally {
      await rm(replacementLock, { force: true });
    }
  }
};

/**
 * Locks the folder for this process. Other processes of the same user can read `content` with `readLock`.
 * It may hold secrets, so other users cannot. Throws `FolderLockedError` if another process has the lock.
 */
export const lockFolder = async (folder: string, content: Content) => {
  const path = join(folder, FILE);
  const identity = { id: randomUUID(), pid: process.pid };
  const isHeld = async () => {
    const found = await read(path);
    return found !== 'absent' && found?.id === identity.id;
  };

  await mkdir(folder, { recursive: true, mode: 0o700 });
  ownIds.add(identity.id);
  try {
    await take(folder, path, { ...content, ...identity });
  } catch (err) {
    ownIds.delete(identity.id);
    throw err;
  }

  return {
    /** Replaces the content atomically: a reader finds the old or the new one. */
    update: async (next: Content): Promise<void> => {
      if (!(await isHeld())) throw new Error(`${path} is no longer the lock of this process`);
      await replace(path, { ...next, ...identity });
    },
    release: async (): Promise<void> => {
      if (await isHeld()) await rm(path, { force: true });
      ownIds.delete(identity.id);
    },
  };
};

/** The content of the folder's lock, with the `pid` of its process. Undefined if no running process has it. */
export const readLock = async (
  folder: string,
): Promise<(Content & { pid: number }) | undefined> => {
  const found = await read(join(folder, FILE));
  if (found === 'absent' || found === undefined || !isHolderRunning(found)) return undefined;
  const { id: _, ...content } = found;
  return content;
};
