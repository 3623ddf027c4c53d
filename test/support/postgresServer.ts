import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';

import { findCommand } from './findCommand.ts';
import { freePort } from './redisServer.ts';
import { waitFor } from './waitFor.ts';

const MISSING =
  'Found no PostgreSQL on this machine. These tests need one: run `npm run setup` to install it.';
// Debian installs the server here, outside of PATH.
const DEBIAN = '/usr/lib/postgresql';

const versions = (): string[] => {
  try {
    return readdirSync(DEBIAN).map((version) => join(DEBIAN, version, 'bin'));
  } catch {
    return [];
  }
};

const find = (name: string): string => {
  const found = findCommand([name], versions());
  if (found === undefined) throw new Error(MISSING);
  return found;
};

/** PostgreSQL refuses to run as root. Tests that run as root start it as `nobody`. */
const unprivileged = async (): Promise<{ uid: number; gid: number } | undefined> => {
  if (process.getuid?.() !== 0) return undefined;
  const id = async (...args: string[]) =>
    Number((await promisify(execFile)('id', [...args, 'nobody'])).stdout);
  return { uid: await id('-u'), gid: await id('-g') };
};

/** Starts a PostgreSQL on a free loopback port. `stop` removes its data. */
export const startPostgres = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'seek-postgres-'));
  const user = await unprivileged();
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  await promisify(execFile)(
    find('initdb'),
    ['-D', data, '-U', 'ats', '--auth=trust', '--no-sync', '-E', 'UTF8', '--locale=C'],
    { ...user, env: { LC_ALL: 'C' } },
  );
  const port = await freePort();
  const url = `postgresql://ats@127.0.0.1:${port}/postgres`;

  const launch = async () => {
    const child = spawn(
      find('postgres'),
      ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder],
      { ...user, stdio: 'ignore', env: { LC_ALL: 'C' } },
    );
    await once(child, 'spawn');
    await waitFor(async () => {
      const client = new pg.Client(url);
      client.on('error', () => {});
      return client.connect().then(
        () => client.end().then(() => true),
        () => false,
      );
    });
    return child;
  };
  let server = await launch();

  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill(signal);
    await exited;
  };

  /** Signals the server and its child processes: PostgreSQL forks one for each connection. */
  const signalAll = async (signal: NodeJS.Signals): Promise<void> => {
    const children = await promisify(execFile)('pgrep', ['-P', String(server.pid)]).catch(() => ({
      stdout: '',
    }));
    for (const pid of [server.pid, ...children.stdout.trim().split('\n').map(Number)]) {
      try {
        if (pid) process.kill(pid, signal);
      } catch {
        // The connection has ended since, and its process with it.
      }
    }
  };

  return {
    url,
    port,
    /** Stops answering without closing a connection. */
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
    kill,
    restart: async (): Promise<void> => {
      await kill('SIGQUIT');
      server = await launch();
    },
    stop: async (): Promise<void> => {
      await kill('SIGQUIT');
      await rm(folder, { recursive: true, force: true });
    },
  };
};

export type PostgresServer = Awaited<ReturnType<typeof startPostgres>>;
