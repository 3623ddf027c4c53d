import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { SIGNALS } from '../../src/queue/backend.ts';
import { openEmbedded } from '../../src/queue/embedded/openEmbedded.ts';
import { createRedisJobDataStore } from '../../src/queue/redis/jobStore.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { buildTakenJob } from '../support/memoryJobSource.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';

const PREFIX = 'seek';
const ACCEPTED_AT = 1_700_000_000_000;
const BEFORE = { version: 1, text: 'naïve 😀 "quoted"', attempts: [] };
const AFTER = { ...BEFORE, attempts: [{ outcome: 'retry' }] };

let redis: RedisServer;
let client: Redis;
let queue: Queue;
let worker: Worker;

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url);
  const options = { connection: { host: '127.0.0.1', port: redis.port }, prefix: PREFIX };
  queue = new Queue('signals', options);
  worker = new Worker('signals', undefined, options);
});
afterAll(async () => {
  await worker.close();
  await queue.close();
  client.disconnect();
  await redis.stop();
});

/** A job that a worker runs, as BullMQ stores it. */
const setup = async () => {
  await queue.add('signal', BEFORE);
  const { id = '' } = (await worker.getNextJob('ours')) ?? {};
  const key = `${PREFIX}:signals:${id}`;
  const job = buildTakenJob({ id, lock: 'ours', data: BEFORE, timestamp: ACCEPTED_AT });

  return {
    job,
    /** The same job, as another worker takes it. */
    othersJob: { ...job, lock: 'another’s' },
    key,
    jobData: createRedisJobDataStore(client, PREFIX),
    stored: async () => (await queue.getJob(id))?.data,
    unsentAt: () => client.zscore(`${PREFIX}:unsent`, id),
    /** The lock has expired, and another worker holds the job. */
    takeOver: () => client.set(`${key}:lock`, 'another’s'),
  };
};

describe('a write to the data of a job in Redis', () => {
  it('with the lock of the job → changes the data, and adds the signal to the unsent set', async () => {
    const { job, jobData, key, stored, unsentAt } = await setup();
    const before = await client.hgetall(key);

    await expect(jobData.write(job, AFTER)).resolves.toBe(true);

    await expect(stored()).resolves.toEqual(AFTER);
    expect(await client.hgetall(key)).toEqual({ ...before, data: JSON.stringify(AFTER) });
    await expect(client.get(`${key}:lock`)).resolves.toBe('ours');
    expect(job.data).toEqual(AFTER);
    await expect(unsentAt()).resolves.toBe(String(ACCEPTED_AT));
  });

  it('to a full Redis → succeeds', async () => {
    const { job, jobData, stored } = await setup();
    await client.config('SET', 'maxmemory', '1mb');
    await expect(client.set('any', 'thing')).rejects.toThrow('OOM');

    await expect(jobData.write(job, AFTER)).resolves.toBe(true);
    await expect(stored()).resolves.toEqual(AFTER);
    await expect(jobData.replace(job, AFTER, BEFORE)).resolves.toBe(true);
    await client.config('SET', 'maxmemory', '0');
    await expect(stored()).resolves.toEqual(BEFORE);
  });

  it('after another worker has taken the lock → false, and nothing is written', async () => {
    const { job, jobData, stored, takeOver, unsentAt } = await setup();
    await takeOver();

    await expect(jobData.write(job, AFTER)).resolves.toBe(false);
    await expect(stored()).resolves.toEqual(BEFORE);
    expect(job.data).toEqual(BEFORE);
    await expect(unsentAt()).resolves.toBeNull();
  });

  it.each(['ours', ''])(
    'of a job without a lock, with lock %j → false, and nothing is written',
    async (lock) => {
      const { job, jobData, key, stored } = await setup();
      await client.del(`${key}:lock`);

      await expect(jobData.write({ ...job, lock }, AFTER)).resolves.toBe(false);
      await expect(stored()).resolves.toEqual(BEFORE);
    },
  );

  it('to a removed job → false, and the job stays removed', async () => {
    const { job, jobData, key } = await setup();
    await client.del(key, `${key}:lock`);

    await expect(jobData.write(job, AFTER)).resolves.toBe(false);
    await expect(jobData.replace(job, BEFORE, AFTER)).resolves.toBe(false);
    await expect(client.exists(key)).resolves.toBe(0);
  });
});

describe('a compare-and-set of the data of a job in Redis', () => {
  it('data unchanged since our write, another worker holds the job → replaced', async () => {
    const { job, jobData, stored, takeOver } = await setup();
    await jobData.write(job, AFTER);
    await takeOver();

    await expect(jobData.replace(job, AFTER, BEFORE)).resolves.toBe(true);
    await expect(stored()).resolves.toEqual(BEFORE);
  });

  it('data written by another worker since → false, and that data stays', async () => {
    const { job, othersJob, jobData, stored, takeOver } = await setup();
    const others = { ...BEFORE, deferrals: 1 };
    await jobData.write(job, AFTER);
    await takeOver();
    await jobData.write(othersJob, others);

    await expect(jobData.replace(job, AFTER, BEFORE)).resolves.toBe(false);
    await expect(stored()).resolves.toEqual(others);
  });

  it('data unchanged since BullMQ wrote it → replaced', async () => {
    const { job, jobData, stored } = await setup();

    await expect(jobData.replace(job, job.data, AFTER)).resolves.toBe(true);
    await expect(stored()).resolves.toEqual(AFTER);
  });
});

describe('the data of a job in the embedded queue', () => {
  it('write or replace → written, and nothing else changes', async () => {
    const { logger } = captureLogs();
    const limits = { dedupeWindowMs: 86_400_000, keepDeliveredMs: 86_400_000 };
    const backend = await openEmbedded({ folder: undefined, logger, ...limits });
    const signals = await backend.queue(SIGNALS);
    for (const jobId of ['a', 'b']) await signals.add('signal', BEFORE, { jobId });
    const source = backend.openJobs(SIGNALS);
    await source.open();
    const { taken } = await source.exchange([], { jobs: 1, bytes: 1 });
    const [job = buildTakenJob()] = taken;
    const stored = async () => (await signals.getJob('a'))?.data;

    await expect(backend.jobData.write(job, AFTER)).resolves.toBe(true);
    expect([await stored(), job.data]).toEqual([AFTER, AFTER]);
    await expect(backend.jobData.replace(job, AFTER, BEFORE)).resolves.toBe(true);

    expect(await stored()).toEqual(BEFORE);
    expect(await signals.getJobState('a')).toBe('active');
    expect((await signals.getJob('b'))?.data).toEqual(BEFORE);
    await source.close();
    await backend.close();
  });
});
