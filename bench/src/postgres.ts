import { execFileSync, spawn } from 'node:child_process';
import { chownSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

import { familyCpuMs, freePort, supervise } from './processes.js';

// Debian does not add it to PATH.
const DEBIAN_PATH = '/usr/lib/postgresql';
const commandOf = (name: string): string => {
  try {
    const newest = readdirSync(DEBIAN_PATH).sort().at(-1);
    return newest === undefined ? name : join(DEBIAN_PATH, newest, 'bin', name);
  } catch {
    return name;
  }
};

/** PostgreSQL refuses to run as root, so root starts it as another user. */
const unprivileged = () => {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody']));
  return { uid: id('-u'), gid: id('-g') };
};

/** Starts a PostgreSQL with default settings, so each commit is flushed to disk. */
export const startPostgres = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'seek-bench-postgres-'));
  const user = unprivileged();
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const options = ['-D', data, '-U', 'ats', '--auth=trust', '-E', 'UTF8', '--locale=C'];
  execFileSync(commandOf('initdb'), options, { ...user, stdio: 'ignore' });
  const port = await freePort();
  const server = supervise(
    spawn(
      commandOf('postgres'),
      ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder],
      {
        ...user,
        stdio: 'ignore',
      },
    ),
  );
  const url = `postgresql://ats@127.0.0.1:${port}/postgres`;
  const isUp = async (): Promise<boolean> => {
    const client = new pg.Client(url);
    client.on('error', () => {});
    return client.connect().then(
      () => client.end().then(() => true),
      () => false,
    );
  };
  while (!(await isUp())) await delay(50);
  const pool = new pg.Pool({ connectionString: url, max: 8 });

  return {
    url,
    pool,
    // It has a process for each connection.
    cpuMs: () => familyCpuMs(server.pid),
    stop: async (): Promise<void> => {
      await pool.end();
      await server.stop('SIGQUIT');
      await rm(folder, { recursive: true, force: true });
    },
  };
};

export type BenchPostgres = Awaited<ReturnType<typeof startPostgres>>;
