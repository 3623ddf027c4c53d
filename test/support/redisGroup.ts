import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

import { startNetworks } from './networks.ts';
import { waitFor } from './waitFor.ts';

const NAME = 'seek-master';
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;
const SETTINGS = 'bind 0.0.0.0\nprotected-mode no\nloglevel warning\n';

const connect = (host: string, port: number): Redis => {
  const client = new Redis({ host, port, maxRetriesPerRequest: null, retryStrategy: () => 100 });
  client.on('error', () => {});
  return client;
};

/**
 * A master and one of three Sentinels in one network; a replica and the other two Sentinels in another.
 * `cut` separates the networks. The test and the processes it starts still reach both.
 */
export const startRedisGroup = async (downAfterMs: number) => {
  const networks = await startNetworks();
  const { first, second } = networks;
  const folder = await mkdtemp(join(tmpdir(), 'seek-group-'));
  const clients: Redis[] = [];

  const startRedis = async (host: typeof first, name: string, more = ''): Promise<Redis> => {
    const dir = join(folder, name);
    const file = `${dir}.conf`;
    const durable = 'appendonly yes\nappendfsync everysec\nsave ""\nrepl-diskless-sync-delay 0\n';
    await writeFile(
      file,
      `port ${REDIS_PORT}\ndir ${folder}\nappenddirname ${name}\n${SETTINGS}${durable}${more}`,
    );
    host.spawn('redis-server', [file]);
    const client = connect(host.address, REDIS_PORT);
    clients.push(client);
    await client.ping();
    return client;
  };

  const startSentinel = async (host: typeof first, port: number): Promise<Redis> => {
    const file = join(folder, `sentinel-${port}.conf`);
    await writeFile(
      file,
      [
        `port ${port}`,
        `dir ${folder}`,
        `${SETTINGS}sentinel monitor ${NAME} ${first.address} ${REDIS_PORT} 2`,
        `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
        `sentinel failover-timeout ${NAME} 5000`,
        '',
      ].join('\n'),
    );
    host.spawn('redis-server', [file, '--sentinel']);
    const client = connect(host.address, port);
    clients.push(client);
    return client;
  };

  const stop = async (): Promise<void> => {
    for (const client of clients) client.disconnect();
    await networks.stop();
    await rm(folder, { recursive: true, force: true });
  };

  const start = async () => {
    const master = await startRedis(first, 'master');
    const replica = await startRedis(
      second,
      'replica',
      `replicaof ${first.address} ${REDIS_PORT}\n`,
    );
    await waitFor(async () => (await replica.info()).includes('master_link_status:up'));
    const places = [first, second, second].map((host, index) => ({
      host,
      port: SENTINEL_PORT + index,
    }));
    const sentinels = await Promise.all(places.map(({ host, port }) => startSentinel(host, port)));
    // Each Sentinel has found the replica and the other two.
    const isComplete = async (sentinel: Redis): Promise<boolean> => {
      const facts = await sentinel.call('SENTINEL', 'MASTER', NAME);
      const factOf = (field: string) =>
        Array.isArray(facts) ? facts[facts.indexOf(field) + 1] : undefined;
      return factOf('num-slaves') === '1' && factOf('num-other-sentinels') === '2';
    };
    await waitFor(async () => (await Promise.all(sentinels.map(isComplete))).every(Boolean), {
      timeoutMs: 20_000,
      what: 'the Sentinels to find each other',
    });
    return { master, replica, sentinels, places };
  };
  const { master, replica, sentinels, places } = await start().catch(async (err: unknown) => {
    await stop();
    throw err;
  });

  const endpoints = places.map(({ host, port }) => ({ host: host.address, port }));
  return {
    url: `redis://${NAME}`,
    endpoints,
    master,
    replica,
    sentinels,
    cut: networks.cut,
    heal: networks.heal,
    /** Resolves when the replica has become the master. */
    untilFailedOver: (timeoutMs: number) =>
      waitFor(async () => (await replica.info('replication')).includes('role:master'), {
        timeoutMs,
        what: 'the failover',
      }),
    /** Resolves when the former master replicates the new one. */
    untilRejoined: (timeoutMs: number) =>
      waitFor(async () => (await master.info('replication')).includes('master_link_status:up'), {
        timeoutMs,
        what: 'the former master to replicate the new one',
      }),
    stop,
  };
};

export type RedisGroup = Awaited<ReturnType<typeof startRedisGroup>>;
