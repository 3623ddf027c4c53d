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

describe('the buckets of the last hours', () => {
  it.each([
    { hours: 1, count: 12 },
    { hours: 24, count: 288 },
    { hours: 100, count: 288 },
  ])('$hours hours → $count buckets, the current one last', ({ hours, count }) => {
    const now = 7 * HOUR_MS + 1;

    const buckets = bucketsSince(hours * HOUR_MS, now);

    expect(buckets).toHaveLength(count);
    expect(buckets.at(-1)).toBe(7 * HOUR_MS);
    expect(buckets.at(-2)).toBe(7 * HOUR_MS - BUCKET_MS);
  });
});

describe.each(PLATFORMS)('worker stats on $name', ({ start }) => {
  it('a heartbeat → counts the jobs in each state, and keeps the maximum of the bucket', async () => {
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
    // Both heartbeats must fall into one bucket.
    await waitFor(() => Date.now() % BUCKET_MS < BUCKET_MS - SLACK_MS);

    await backend.workerStats.recordHeartbeat({ worker: 'w', answers: {} });

    const { buckets, workers, now } = await backend.workerStats.read(HOUR_MS);
    expect(buckets).toEqual([
      { at: expect.any(Number), waiting: 2, retrying: 1, dead: 1, answers: {} },
    ]);
    expect(workers).toEqual([{ worker: 'w', at: expect.any(Number) }]);
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
])('worker stats in $what', ({ open }) => {
  it('heartbeats of two workers → their outcomes add up within a bucket, not across buckets', async () => {
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

  it('reads the last hour → no older bucket', async () => {
    const workerStats = await open();
    await workerStats.recordHeartbeat({ worker: 'one', answers: { old: 1 } });
    now += HOUR_MS;
    await workerStats.recordHeartbeat({ worker: 'one', answers: { new: 1 } });

    expect((await workerStats.read(HOUR_MS)).buckets.map(({ answers }) => answers)).toEqual([
      { new: 1 },
    ]);
    expect((await workerStats.read(2 * HOUR_MS)).buckets).toHaveLength(2);
  });

  it('a worker leaves → no longer listed', async () => {
    const workerStats = await open();
    await workerStats.recordHeartbeat({ worker: 'one', answers: {} });
    await workerStats.recordHeartbeat({ worker: 'two', answers: {} });

    await workerStats.removeWorker('one');

    expect((await workerStats.read(HOUR_MS)).workers.map(({ worker }) => worker)).toEqual(['two']);
  });
});

it('a bucket in Redis → expires after a day', async () => {
  const workerStats = createRedisWorkerStats({ client, prefix: '{expires}', now: () => now });

  await workerStats.recordHeartbeat({ worker: 'one', answers: { delivered: 1 } });

  const [key = ''] = (await client.keys('{expires}:worker-stats:*')).filter((name) =>
    /\d$/.test(name),
  );
  expect(await client.pttl(key)).toBeGreaterThan(24 * HOUR_MS - 5_000);
});

it('a heartbeat to a full Redis → recorded', async () => {
  const workerStats = createRedisWorkerStats({ client, prefix: '{full}', now: () => now });
  await client.config('SET', 'maxmemory', '1kb');

  await workerStats.recordHeartbeat({ worker: 'one', answers: { delivered: 1 } });
  await client.config('SET', 'maxmemory', '0');

  const { buckets, workers } = await workerStats.read(HOUR_MS);
  expect([buckets.length, workers.length]).toEqual([1, 1]);
});
