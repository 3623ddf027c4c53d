import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

import type { FromSeek, ToSeek } from './seek.js';

const HERE = new URL('.', import.meta.url).pathname;
export const CLI = new URL('../../dist/cli/main.js', import.meta.url).pathname;

/** What a queue keeps its jobs in. */
export type Store = {
  url: string;
  /** The CPU time that all of its processes have used so far, in ms. */
  cpuMs: () => Promise<number>;
  stop: () => Promise<void>;
};

// Linux counts CPU time in hundredths of a second.
const MS_PER_TICK = 10;

const statOf = async (pid: number): Promise<number[]> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // Starts at the third field: the second is the process name, which may contain spaces.
  return stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
};

const ticks = (stat: number[], from: number, to: number): number =>
  stat.slice(from - 3, to - 2).reduce((sum, value) => sum + value, 0) * MS_PER_TICK;

/** The CPU time that a process has used so far, in ms. */
export const cpuMs = async (pid: number): Promise<number> => ticks(await statOf(pid), 14, 15);

/** The same of a process and its children, those that have ended included. */
export const familyCpuMs = async (pid: number): Promise<number> => {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  const used = await Promise.all(
    // A child that has ended since is counted by its parent.
    children
      .split(' ')
      .filter(Boolean)
      .map((child) => cpuMs(Number(child)).catch(() => 0)),
  );
  // Fields 16 and 17 are the CPU time of children that have ended.
  return used.reduce((sum, ms) => sum + ms, ticks(await statOf(pid), 14, 17));
};

/** The memory of a process in MiB: now, and at its peak. */
export const memoryMiB = async (pid: number): Promise<{ now: number; peak: number }> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const of = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024;
  return { now: of('VmRSS'), peak: of('VmHWM') };
};

export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No free port');
  return address.port;
};

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Kills the child when this process exits. */
export const supervise = <Child extends ChildProcess>(child: Child) => {
  running.add(child);
  const ended = once(child, 'exit').then(() => running.delete(child));
  return {
    child,
    pid: child.pid ?? 0,
    ended,
    stop: async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
      child.kill(signal);
      await ended;
    },
  };
};

export type Running = ReturnType<typeof supervise>;

/** Starts a program of this benchmark, and discards what it prints. */
export const start = (name: string, args: (string | number)[] = []) =>
  supervise(
    fork(join(HERE, `${name}.js`), args.map(String), {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    }),
  );

/** Starts a command of the built dispatcher. */
export const startCommand = (args: string[], env: Record<string, string>) =>
  supervise(
    spawn(process.execPath, [CLI, ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] }),
  );

/** Resolves with the first message of the child that matches. */
export const waitForMessage = <Message extends FromSeek>(
  { child }: Running,
  matches: (message: FromSeek) => message is Message,
): Promise<Message> =>
  new Promise((resolve, reject) => {
    const listen = (message: FromSeek) => {
      if (!matches(message)) return;
      child.off('message', listen).off('exit', fail);
      resolve(message);
    };
    const fail = () =>
      reject(new Error(`${child.spawnfile} exited before it sent the expected message`));
    child.on('message', listen).on('exit', fail);
  });

/** Resolves when the process has counted this many signals. */
export const reaches = (process: Running, count: number) =>
  waitForMessage(
    process,
    (message): message is Extract<FromSeek, { reached: number }> =>
      'reached' in message && message.reached === count,
  );

export const startSeek = async (latencyMs: number) => {
  const seek = start('seek', [latencyMs]);
  const { listening } = await waitForMessage(
    seek,
    (message): message is { listening: number } => 'listening' in message,
  );
  return {
    ...seek,
    url: `http://127.0.0.1:${listening}`,
    send: (message: ToSeek) => seek.child.send(message),
  };
};

export type Seek = Awaited<ReturnType<typeof startSeek>>;

// As in docker-compose.yml.
const SHIPPED_SETTINGS = ['--hash-max-listpack-value', '4096'];

/** Starts a Redis with an append-only file; by default with the settings that the project ships. */
export const startRedis = async (settings: readonly string[] = SHIPPED_SETTINGS) => {
  const folder = await mkdtemp(join(tmpdir(), 'seek-bench-'));
  const port = await freePort();
  const durable = ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'];
  const redis = supervise(
    spawn(
      'redis-server',
      [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--dir',
        folder,
        '--save',
        '',
        ...durable,
        ...settings,
      ],
      { stdio: 'ignore' },
    ),
  );
  const client = new Redis(port, '127.0.0.1', {
    retryStrategy: () => 50,
    maxRetriesPerRequest: null,
  });
  client.on('error', () => {});
  await client.ping();
  return {
    url: `redis://127.0.0.1:${port}`,
    client,
    cpuMs: () => cpuMs(redis.pid),
    clear: async (): Promise<void> => {
      await client.flushall();
    },
    stop: async (): Promise<void> => {
      client.disconnect();
      await redis.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
};

export type BenchRedis = Awaited<ReturnType<typeof startRedis>>;
