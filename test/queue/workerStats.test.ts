import { Redis } from 'ioredis';

import { loadConfig } from '../../src/config/config.ts';
import { openPglite } from '../../src/queue/embedded/pglite.ts';
import { openEmbeddedWorkerStats } from '../../src/queue/embedded/workerStats.ts';
import { createRedisWorkerStats } from '../../src/queue/redis/workerStats.ts';
import { BUCKET_MS, bucketsSince, type WorkerStats } from '../../src/queue/workerStats.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { SLACK_MS } from '../support/inTime.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';
import { waitFor } from '../support/waitFor.ts';

const HOUR_MS = 3_600_000;

describe('the moments of the last hours', () => {
  it.each([
    { hours: 1, count: 12 },
    { hours: 24, count: 288 },
    { hours: 100, count: 288 },
  ])('are $count of $hours hours, the last of them the present one', ({ hours, count }) => {
    const now = 7 * HOUR_MS + 1;

    const buckets = bucketsSince(hours * HOUR_MS, now);

    expect(buckets).toHaveLength(count);
    expect(buckets.at(-1)).toBe(7 * HOUR_MS);
    expect(buckets.at(-2)).toBe(7 * HOUR_MS - BUCKET_MS);
  });
});

describe.each(PLATFORMS)('the history on $name', ({ start }) => {
  it('counts what lies where when a worker says that it is alive', async () => {
    const platform = await start();
    await platform.clear();
    const backend = platform.open(loadConfig({}), 'patient', captureLogs().logger);
    const [signals, deadLetters] = [
      await backend.queue('signals'),
      await backend.queue('dead-letters'),
    ];
    await signals.add('a', {});
    await signals.add('b', {}, { priority: 1 });
    await signals.add('c', {}, { delay: HOUR_MS });
    await deadLetters.add('d', {});
    // Both times in one moment.
    await waitFor(() => Date.now() % BUCKET_MS < BUCKET_MS - SLACK_MS);

    await backend.workerStats.recordHeartbeat({ worker: 'w', answers: {} });

    const { buckets, workers, now } = await backend.workerStats.read(HOUR_MS);
    expect(buckets).toEqual([
      { at: expect.any(Number), waiting: 2, retrying: 1, dead: 1, answers: {} },
    ]);
    expect(workers).toEqual([{ worker: 'w', at: expect.any(Number) }]);
    // Of a moment the most is kept.
    await signals.remove((await signals.getRanges(['waiting'], 0, 0))[0] ?? '');
    await backend.workerStats.recordHeartbeat({ worker: 'w', answers: {} });
    expect((await backend.workerStats.read(HOUR_MS)).buckets.at(-1)).toMatchObject({ waiting: 2 });
    expect(now - (workers[0]?.at ?? 0)).toBeLessThan(5_000);
    await backend.close();
    await platform.stop();
  });
});

let redis: RedisServer;
let client: Redis;
let database: Awaited<ReturnType<typeof openPglite>>;
let prefixes = 0;
let now = 1_800_000_000_000;

beforeAll(async () => {
  [redis, database] = await Promise.all([startRedis(), openPglite(undefined)]);
  client = new Redis(redis.url);
});
afterAll(async () => {
  client.disconnect();
  await Promise.all([redis.stop(), database.close()]);
});

describe.each<{ what: string; open: () => Promise<WorkerStats> }>([
  {
    what: 'Redis',
    open: async () => {
      prefixes += 1;
      return createRedisWorkerStats({ client, prefix: `{h${prefixes}}`, now: () => now });
    },
  },
  {
    what: 'the embedded queue',
    open: async () => {
      await database.query('DROP TABLE IF EXISTS public.history');
      return openEmbeddedWorkerStats({ database, now: () => now });
    },
  },
])('the history in $what', ({ open }) => {
  it('adds up the answers of all workers within a moment, and no further', async () => {
    const workerStats = await open();

    await workerStats.recordHeartbeat({ worker: 'one', answers: { delivered: 3, HTTP_503: 1 } });
    await workerStats.recordHeartbeat({ worker: 'two', answers: { HTTP_503: 4 } });
    now += BUCKET_MS;
    await workerStats.recordHeartbeat({ worker: 'one', answers: { delivered: 2 } });

    const { buckets } = await workerStats.read(HOUR_MS);
    expect(buckets.map(({ answers }) => answers)).toEqual([
      { delivered: 3, HTTP_503: 5 },
      { delivered: 2 },
    ]);
    expect((buckets[1]?.at ?? 0) - (buckets[0]?.at ?? 0)).toBe(BUCKET_MS);
  });

  it('reads no further back than it is asked to', async () => {
    const workerStats = await open();
    await workerStats.recordHeartbeat({ worker: 'one', answers: { old: 1 } });
    now += HOUR_MS;
    await workerStats.recordHeartbeat({ worker: 'one', answers: { new: 1 } });

    expect((await workerStats.read(HOUR_MS)).buckets.map(({ answers }) => answers)).toEqual([
      { new: 1 },
    ]);
    expect((await workerStats.read(2 * HOUR_MS)).buckets).toHaveLength(2);
  });

  it('lists a worker until it leaves', async () => {
    const workerStats = await open();
    await workerStats.recordHeartbeat({ worker: 'one', answers: {} });
    await workerStats.recordHeartbeat({ worker: 'two', answers: {} });

    await workerStats.removeWorker('one');

    expect((await workerStats.read(HOUR_MS)).workers.map(({ worker }) => worker)).toEqual(['two']);
  });
});

it('keeps a moment in Redis for a day, and no longer', async () => {
  const workerStats = createRedisWorkerStats({ client, prefix: '{expires}', now: () => now });

  await workerStats.recordHeartbeat({ worker: 'one', answers: { delivered: 1 } });

  const [key = ''] = (await client.keys('{expires}:worker-stats:*')).filter((name) =>
    /\d$/.test(name),
  );
  expect(await client.pttl(key)).toBeGreaterThan(24 * HOUR_MS - 5_000);
});

it('goes on in a Redis that has no memory left', async () => {
  const workerStats = createRedisWorkerStats({ client, prefix: '{full}', now: () => now });
  await client.config('SET', 'maxmemory', '1kb');

  await workerStats.recordHeartbeat({ worker: 'one', answers: { delivered: 1 } });
  await client.config('SET', 'maxmemory', '0');

  const { buckets, workers } = await workerStats.read(HOUR_MS);
  expect([buckets.length, workers.length]).toEqual([1, 1]);
});
