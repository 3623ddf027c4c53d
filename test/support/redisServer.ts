import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

const MISSING =
  'Found no redis-server on this machine. These tests need one: run `npm run setup` to install it.';

export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('Found no free port');
  return address.port;
};

const toArguments = (settings: Record<string, string>): string[] =>
  Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);

/**
 * Starts a Redis on a free loopback port: append-only, without eviction. `args` override these settings.
 * `stop` removes its data.
 */
export const startRedis = async (port?: number, args: readonly string[] = []) => {
  const folder = await mkdtemp(join(tmpdir(), 'seek-redis-'));
  const chosen = port ?? (await freePort());
  const url = `redis://127.0.0.1:${chosen}`;

  const launch = async () => {
    const child = spawn(
      'redis-server',
      [
        ...toArguments({
          port: String(chosen),
          bind: '127.0.0.1',
          dir: folder,
          appendonly: 'yes',
          appendfsync: 'everysec',
          save: '',
          'maxmemory-policy': 'noeviction',
          loglevel: 'warning',
        }),
        ...args,
      ],
      { stdio: 'ignore' },
    );
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', () => reject(new Error(MISSING)));
    });
    const probe = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
    probe.on('error', () => {});
    await probe.ping();
    probe.disconnect();
    return child;
  };

  let server = await launch();

  const kill = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  };

  return {
    url,
    port: chosen,
    /** Stops answering without closing a connection, like an overloaded host. */
    freeze: () => server.kill('SIGSTOP'),
    thaw: () => server.kill('SIGCONT'),
    kill,
    restart: async () => {
      await kill();
      server = await launch();
    },
    stop: async () => {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
};

export type RedisServer = Awaited<ReturnType<typeof startRedis>>;
