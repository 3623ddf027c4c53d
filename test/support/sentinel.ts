import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

import { freePort } from './redisServer.ts';
import { waitFor } from './waitFor.ts';

/** Starts a Sentinel with short timeouts for one master. Resolves when it has found a replica. */
export const startSentinel = async (name: string, masterPort: number) => {
  const folder = await mkdtemp(join(tmpdir(), 'seek-sentinel-'));
  const port = await freePort();
  const file = join(folder, 'sentinel.conf');
  await writeFile(
    file,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      'loglevel warning',
      `sentinel monitor ${name} 127.0.0.1 ${masterPort} 1`,
      `sentinel down-after-milliseconds ${name} 500`,
      `sentinel failover-timeout ${name} 5000`,
      '',
    ].join('\n'),
  );
  const child: ChildProcess = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
  const client = new Redis({ port, host: '127.0.0.1', maxRetriesPerRequest: null });
  client.on('error', () => {});
  await waitFor(async () => {
    const replicas = await client.call('SENTINEL', 'replicas', name);
    return Array.isArray(replicas) && replicas.length > 0;
  });

  return {
    host: '127.0.0.1',
    port,
    /** The master's port according to this Sentinel. */
    masterPort: async (): Promise<number> => {
      const address = await client.call('SENTINEL', 'get-master-addr-by-name', name);
      return Array.isArray(address) ? Number(address[1]) : 0;
    },
    /** Makes the replica the master, as an operator does before maintenance. */
    failOver: () => client.call('SENTINEL', 'FAILOVER', name),
    stop: async (): Promise<void> => {
      client.disconnect();
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
};
