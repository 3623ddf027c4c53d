import { type Job, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

import { createOwnJobDataStore, createRedisJobDataStore } from '../../src/queue/redis/jobStore.ts';
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

/** A job in the hands of its worker, as BullMQ itself keeps it. */
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
    /** The lock ran out, and the job is another worker's. */
    passOn: () => client.set(`${key}:lock`, 'another’s'),
  };
};

describe('what is written with a job', () => {
  it('is kept while the job is ours, and leaves everything else as it was', async () => {
    const { job, jobData, key, stored } = await setup();
    const before = await client.hgetall(key);

    await expect(jobData.write(job, 'ours', AFTER)).resolves.toBe(true);

    await expect(stored()).resolves.toEqual(AFTER);
    expect(await client.hgetall(key)).toEqual({ ...before, data: JSON.stringify(AFTER) });
    await expect(client.get(`${key}:lock`)).resolves.toBe('ours');
  });

  it('is kept by a Redis that is full', async () => {
    const { job, jobData, stored } = await setup();
    await client.config('SET', 'maxmemory', '1mb');
    await expect(client.set('any', 'thing')).rejects.toThrow('OOM');

    await expect(jobData.write(job, 'ours', AFTER)).resolves.toBe(true);
    await expect(stored()).resolves.toEqual(AFTER);
    await expect(jobData.replace(job, AFTER, BEFORE)).resolves.toBe(true);
    await client.config('SET', 'maxmemory', '0');
    await expect(stored()).resolves.toEqual(BEFORE);
  });

  it('is dropped once the job is another’s', async () => {
    const { job, jobData, stored, passOn } = await setup();
    await passOn();

    await expect(jobData.write(job, 'ours', AFTER)).resolves.toBe(false);
    await expect(stored()).resolves.toEqual(BEFORE);
  });

  it.each(['ours', '', undefined])('is dropped when nobody has the lock: %j', async (lock) => {
    const { job, jobData, key, stored } = await setup();
    await client.del(`${key}:lock`);

    await expect(jobData.write(job, lock, AFTER)).resolves.toBe(false);
    await expect(stored()).resolves.toEqual(BEFORE);
  });

  it('is dropped where no lock is given', async () => {
    const { job, jobData, stored } = await setup();

    await expect(jobData.write(job, undefined, AFTER)).resolves.toBe(false);
    await expect(stored()).resolves.toEqual(BEFORE);
  });

  it('brings no job back that is gone', async () => {
    const { job, jobData, key } = await setup();
    await client.del(key, `${key}:lock`);

    await expect(jobData.write(job, 'ours', AFTER)).resolves.toBe(false);
    await expect(jobData.replace(job, BEFORE, AFTER)).resolves.toBe(false);
    await expect(client.exists(key)).resolves.toBe(0);
  });
});

describe('what is replaced', () => {
  it('is so whoever has the job, while it is what we wrote', async () => {
    const { job, jobData, stored, passOn } = await setup();
    await jobData.write(job, 'ours', AFTER);
    await passOn();

    await expect(jobData.replace(job, AFTER, BEFORE)).resolves.toBe(true);
    await expect(stored()).resolves.toEqual(BEFORE);
  });

  it('is left alone once another has written', async () => {
    const { job, jobData, stored, passOn } = await setup();
    const others = { ...BEFORE, deferrals: 1 };
    await jobData.write(job, 'ours', AFTER);
    await passOn();
    await jobData.write(job, 'another’s', others);

    await expect(jobData.replace(job, AFTER, BEFORE)).resolves.toBe(false);
    await expect(stored()).resolves.toEqual(others);
  });

  it('may be what BullMQ itself wrote', async () => {
    const { job, jobData, stored } = await setup();

    await expect(jobData.replace(job, job.data, AFTER)).resolves.toBe(true);
    await expect(stored()).resolves.toEqual(AFTER);
  });
});

describe('where one process has the queue to itself', () => {
  const setupOwn = (updateData: (data: unknown) => Promise<void> = async () => {}) => {
    const written: unknown[] = [];
    const job = {
      updateData: (data: unknown) => {
        written.push(data);
        return updateData(data);
      },
    } as unknown as Job;
    return { job, written, jobData: createOwnJobDataStore() };
  };

  it('everything is written', async () => {
    const { job, written, jobData } = setupOwn();

    await expect(jobData.write(job, 'ours', AFTER)).resolves.toBe(true);
    await expect(jobData.replace(job, AFTER, BEFORE)).resolves.toBe(true);

    expect(written).toEqual([AFTER, BEFORE]);
  });

  it('and what cannot be written rejects', async () => {
    const { job, jobData } = setupOwn(() => Promise.reject(new Error('Missing key for job')));

    await expect(jobData.write(job, 'ours', AFTER)).rejects.toThrow('Missing key for job');
  });
});
