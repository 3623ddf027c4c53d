import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FolderLockedError, lockFolder, readLock } from '../../../src/queue/embedded/folderLock.ts';

describe('lockFolder', () => {
  let parent: string;
  let folder: string;
  let file: string;
  const running: ReturnType<typeof spawn>[] = [];

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'seek-lock-'));
    folder = join(parent, 'deep', 'data');
    file = join(folder, 'dispatcher.lock');
  });
  afterEach(async () => {
    for (const child of running.splice(0)) child.kill('SIGKILL');
    await rm(parent, { recursive: true });
  });

  const startProcess = async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    running.push(child);
    await once(child, 'spawn');
    const stop = async () => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    };
    return { pid: child.pid ?? 0, stop };
  };

  /** A lock as another process would have written it. */
  const leaveLock = async (pid: number, path = file) => {
    const id = randomUUID();
    await mkdir(folder, { recursive: true });
    await writeFile(path, JSON.stringify({ id, pid, apiUrl: 'http://127.0.0.1:1' }));
    return id;
  };

  const leaveDeadLock = async (path?: string) => {
    const { pid, stop } = await startProcess();
    await stop();
    return leaveLock(pid, path);
  };

  it('a new folder → folder and lock are readable by their owner only', async () => {
    await lockFolder(folder, { apiKey: 'secret' });

    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({
      pid: process.pid,
      apiKey: 'secret',
    });
  });

  it('another process holds the lock → FolderLockedError that says what to do', async () => {
    const { pid } = await startProcess();
    await leaveLock(pid);

    const rejected = lockFolder(folder, {});

    await expect(rejected).rejects.toThrow(FolderLockedError);
    await expect(rejected).rejects.toThrow(
      `${folder} is used by process ${pid}. If that is not a dispatcher, delete ${file}`,
    );
    expect(await readLock(folder)).toEqual({ pid, apiUrl: 'http://127.0.0.1:1' });
  });

  it('this process holds the lock already → FolderLockedError', async () => {
    await lockFolder(folder, {});

    await expect(lockFolder(folder, {})).rejects.toThrow(FolderLockedError);
  });

  it('the holder has died → takes the lock over', async () => {
    await leaveDeadLock();
    expect(await readLock(folder)).toBeUndefined();

    await lockFolder(folder, { apiUrl: 'mine' });

    expect(await readLock(folder)).toEqual({ pid: process.pid, apiUrl: 'mine' });
    expect(await readdir(folder)).toEqual(['dispatcher.lock']);
  });

  it('an earlier process with the same pid left the lock → takes it over', async () => {
    await leaveLock(process.pid);

    await expect(lockFolder(folder, {})).resolves.toBeDefined();
  });

  it('a process died while it took a dead lock over → takes the lock over', async () => {
    const id = await leaveDeadLock();
    await leaveDeadLock(`${file}.${id}`);

    await lockFolder(folder, {});

    expect(await readdir(folder)).toEqual(['dispatcher.lock']);
  });

  it.each(['of a dead process', 'that does not exist'])(
    'ten concurrent callers, a lock %s → exactly one takes it',
    async (which) => {
      if (which === 'of a dead process') await leaveDeadLock();

      const takers = await Promise.allSettled(
        Array.from({ length: 10 }, (_, taker) => lockFolder(folder, { taker })),
      );

      const winner = takers.findIndex(({ status }) => status === 'fulfilled');
      const losers = takers.filter((taker) => taker.status === 'rejected');
      expect(losers).toHaveLength(9);
      for (const { reason } of losers) expect(reason).toBeInstanceOf(FolderLockedError);
      expect(await readLock(folder)).toMatchObject({ taker: winner });
      expect(await readdir(folder)).toEqual(['dispatcher.lock']);
    },
  );

  it('the lock is unreadable → FolderLockedError', async () => {
    await leaveDeadLock();
    await writeFile(file, '{"pid": "../../etc", "id": "../../etc"}');

    await expect(lockFolder(folder, {})).rejects.toThrow(FolderLockedError);
    expect(await readLock(folder)).toBeUndefined();
  });

  it('the lock is updated and released → readers see the last content, then none', async () => {
    const lock = await lockFolder(folder, { apiUrl: 'old', apiKey: 'k' });

    await lock.update({ apiUrl: 'new' });
    expect(await readLock(folder)).toEqual({ pid: process.pid, apiUrl: 'new' });
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    await lock.release();
    await lock.release();
    expect(await readLock(folder)).toBeUndefined();
    expect(await readdir(folder)).toEqual([]);
    await expect(lock.update({})).rejects.toThrow('no longer the lock of this process');
  });

  it('release after another process took the lock → its lock stays', async () => {
    const lock = await lockFolder(folder, {});
    const { pid } = await startProcess();
    await writeFile(file, JSON.stringify({ id: randomUUID(), pid }));

    await lock.release();

    expect(await readLock(folder)).toEqual({ pid });
  });

  it('no folder → no lock', async () => {
    expect(await readLock(join(parent, 'nowhere'))).toBeUndefined();
  });
});
