import { type Job, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { createEmbeddedJobDataStore } from '../../src/queue/embedded/jobs.ts';
import { createRedisJobDataStore } from '../../src/queue/redis/jobStore.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';

const PREFIX = 'seek';
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
  const job = await worker.getNextJob('ours');
  if (job === undefined) throw new Error('no job');
  const key = `${PREFIX}:signals:${job.id}`;

  return {
    job,
    key,
    jobData: createRedisJobDataStore(client, PREFIX),
    stored: async () => (await queue.getJob(job.id ?? ''))?.data,
    /** The lock has expired, and another worker holds the job. */
    takeOver: () => client.set(`${key}:lock`, 'another’s'),
  };
};

describe('a write to the data of a job in Redis', () => {
  it('with the lock of the job → changes the data and nothing else', async () => {
    const { job, jobData, key, stored } = await setup();
    const before = await client.hgetall(key);

    await expect(jobData.write(job, 'ours', AFTER)).resolves.toBe(true);

    await expect(stored()).resolves.toEqual(AFTER);
    expect(await client.hgetall(key)).toEqual({ ...before, data: JSON.stringify(AFTER) });
    await expect(client.get(`${key}:lock`)).resolves.toBe('ours');
  });

  it('to a full Redis → succeeds', async () => {
    const { job, jobData, stored } = await setup();
    await client.config('SET', 'maxmemory', '1mb');
    await expect(client.set('any', 'thing')).rejects.toThrow('OOM');

    await expect(jobData.write(job, 'ours', AFTER)).resolves.toBe(true);
    await expect(stored()).resolves.toEqual(AFTER);
    await expect(jobData.replace(job, AFTER, BEFORE)).resolves.toBe(true);
    await client.config('SET', 'maxmemory', '0');
    await expect(stored()).resolves.toEqual(BEFORE);
  });

  it('after another worker has taken the lock → false, and nothing is written', async () => {
    const { job, jobData, stored, takeOver } = await setup();
    await takeOver();

    await expect(jobData.write(job, 'ours', AFTER)).resolves.toBe(false);
    await expect(stored()).resolves.toEqual(BEFORE);
  });

  it.each(['ours', '', undefined])(
    'of a job without a lock, with lock %j → false, and nothing is written',
    async (lock) => {
      const { job, jobData, key, stored } = await setup();
      await client.del(`${key}:lock`);

      await expect(jobData.write(job, lock, AFTER)).resolves.toBe(false);
      await expect(stored()).resolves.toEqual(BEFORE);
    },
  );

  it('without a lock → false, and nothing is written', async () => {
    const { job, jobData, stored } = await setup();

    await expect(jobData.write(job, undefined, AFTER)).resolves.toBe(false);
    await expect(stored()).resolves.toEqual(BEFORE);
  });

  it('to a removed job → false, and the job stays removed', async () => {
    const { job, jobData, key } = await setup();
    await client.del(key, `${key}:lock`);

    await expect(jobData.write(job, 'ours', AFTER)).resolves.toBe(false);
    await expect(jobData.replace(job, BEFORE, AFTER)).resolves.toBe(false);
    await expect(client.exists(key)).resolves.toBe(0);
  });
});

describe('a compare-and-set of the data of a job in Redis', () => {
  it('data unchanged since our write, another worker holds the job → replaced', async () => {
    const { job, jobData, stored, takeOver } = await setup();
    await jobData.write(job, 'ours', AFTER);
    await takeOver();

    await expect(jobData.replace(job, AFTER, BEFORE)).resolves.toBe(true);
    await expect(stored()).resolves.toEqual(BEFORE);
  });

  it('data written by another worker since → false, and that data stays', async () => {
    const { job, jobData, stored, takeOver } = await setup();
    const others = { ...BEFORE, deferrals: 1 };
    await jobData.write(job, 'ours', AFTER);
    await takeOver();
    await jobData.write(job, 'another’s', others);

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
  const setupEmbedded = (updateData: (data: unknown) => Promise<void> = async () => {}) => {
    const written: unknown[] = [];
    const job = {
      updateData: (data: unknown) => {
        written.push(data);
        return updateData(data);
      },
    } as unknown as Job;
    return { job, written, jobData: createEmbeddedJobDataStore() };
  };

  it('write or replace → always written', async () => {
    const { job, written, jobData } = setupEmbedded();

    await expect(jobData.write(job, 'ours', AFTER)).resolves.toBe(true);
    await expect(jobData.replace(job, AFTER, BEFORE)).resolves.toBe(true);

    expect(written).toEqual([AFTER, BEFORE]);
  });

  it('BullMQ cannot write → rejects', async () => {
    const { job, jobData } = setupEmbedded(() => Promise.reject(new Error('Missing key for job')));

    await expect(jobData.write(job, 'ours', AFTER)).rejects.toThrow('Missing key for job');
  });
});
