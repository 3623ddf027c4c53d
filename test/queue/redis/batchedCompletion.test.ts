import { createRedisBackend, type Job, Queue, type RedisQueueBackend, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { createBatchedCompletion } from '../../../src/queue/redis/batchedCompletion.ts';
import { type RedisServer, startRedis } from '../../support/redisServer.ts';

const LOCK_MS = 30_000;
const KEEP = { age: 3_600, count: 1_000 };

let redis: RedisServer;
let client: Redis;
let queues = 0;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url, { maxRetriesPerRequest: null });
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
afterAll(async () => {
  client.disconnect();
  await redis.stop();
});

/** A queue, and a worker whose jobs the test takes and completes. */
const setup = async (completion: 'batched' | 'BullMQ’s own' = 'batched', keep = KEEP) => {
  queues += 1;
  const [name, prefix] = [`q${queues}`, '{test}'];
  const factory =
    completion === 'batched'
      ? createBatchedCompletion({ client, prefix, keep, lockMs: LOCK_MS })
      : createRedisBackend;
  const queue = new Queue(name, { connection: client, prefix });
  const options = { connection: client, prefix, removeOnComplete: keep, lockDuration: LOCK_MS };
  const worker = new Worker<unknown, unknown, string, RedisQueueBackend>(
    name,
    undefined,
    options,
    factory,
  );
  closing.push(
    () => worker.close(),
    () => queue.close(),
  );
  const take = async (lock: string): Promise<Job> => {
    const job = await worker.getNextJob(lock, { block: false });
    if (job === undefined) throw new Error('no job');
    return job;
  };
  return {
    queue,
    take,
    add: (ids: string[], opts = {}) =>
      queue.addBulk(
        ids.map((jobId) => ({ name: 'signal', data: { jobId }, opts: { ...opts, jobId } })),
      ),
    takeAll: async (count: number) => {
      const jobs: Job[] = [];
      for (let n = 0; n < count; n += 1) jobs.push(await take(`lock-${n}`));
      return jobs;
    },
    keyOf: (id: string) => `${prefix}:${name}:${id}`,
    ids: (state: 'wait' | 'active' | 'completed') => queue.getRanges([state], 0, -1, true),
  };
};

const withoutTimes = (hash: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(hash).map(([field, value]) => [
      field,
      ['timestamp', 'processedOn', 'finishedOn'].includes(field) ? 'a time' : value,
    ]),
  );

describe('jobs that complete together', () => {
  it('→ Redis holds what BullMQ would have stored, one by one', async () => {
    const [own, batched] = await Promise.all(
      (['BullMQ’s own', 'batched'] as const).map(async (completion) => {
        const at = await setup(completion);
        await at.add(['a', 'b', 'c', 'd']);
        const jobs = await at.takeAll(2);
        await Promise.all(
          jobs.map((job, n) => job.moveToCompleted({ outcome: 'delivered', n }, `lock-${n}`, true)),
        );
        const hashes = await Promise.all(
          ['a', 'b', 'c', 'd'].map(async (id) => withoutTimes(await client.hgetall(at.keyOf(id)))),
        );
        const locks = await client.mget(['a', 'b', 'c', 'd'].map((id) => `${at.keyOf(id)}:lock`));
        const lists = await Promise.all(
          (['wait', 'active', 'completed'] as const).map(async (state) =>
            (await at.ids(state)).sort(),
          ),
        );
        return { hashes, locks, lists, counts: await at.queue.getJobCounts() };
      }),
    );

    expect(batched).toEqual(own);
    expect(batched?.lists).toEqual([[], ['c', 'd'], ['a', 'b']]);
    expect(batched?.locks).toEqual([null, null, 'lock-0', 'lock-1']);
  });

  it('two slots want a job and one waits → one slot gets it, as from BullMQ', async () => {
    const { add, takeAll, keyOf } = await setup();
    await add(['a', 'b', 'c']);
    const jobs = await takeAll(2);

    const nexts = await Promise.all(
      jobs.map((job, n) => job.moveToCompleted(1, `lock-${n}`, true)),
    );

    const [[data, id] = [], none] = nexts;
    expect(id).toBe('c');
    expect(data).toMatchObject({ name: 'signal', data: '{"jobId":"c"}', attemptsStarted: 1 });
    expect(data.processedOn).toBeGreaterThan(Date.now() - 60_000);
    // BullMQ then fetches the next job with its own script.
    expect(none).toBeUndefined();
    expect(await client.pttl(`${keyOf('c')}:lock`)).toBeGreaterThan(LOCK_MS / 2);
  });

  it('more than one script takes → all complete', async () => {
    const { add, takeAll, ids } = await setup();
    const all = Array.from({ length: 120 }, (_, n) => `job-${n}`);
    await add(all);
    const jobs = await takeAll(120);

    await Promise.all(jobs.map((job, n) => job.moveToCompleted(n, `lock-${n}`, false)));

    expect((await ids('completed')).sort()).toEqual(all.sort());
    expect(await ids('active')).toEqual([]);
  });

  it('more than the count to keep → the oldest is removed, with its logs', async () => {
    const { add, takeAll, queue, keyOf, ids } = await setup('batched', { age: 3_600, count: 2 });
    await add(['a', 'b', 'c']);
    const [a, ...others] = await takeAll(3);
    await a?.log('a line');
    await a?.moveToCompleted(1, 'lock-0', false);

    await Promise.all(others.map((job, n) => job.moveToCompleted(1, `lock-${n + 1}`, false)));

    expect((await ids('completed')).sort()).toEqual(['b', 'c']);
    await expect(queue.getJob('a')).resolves.toBeUndefined();
    await expect(client.exists(`${keyOf('a')}:logs`)).resolves.toBe(0);
  });

  it('older than the age to keep → removed', async () => {
    const { add, takeAll, queue, keyOf, ids } = await setup();
    await add(['a', 'b']);
    const [a, b] = await takeAll(2);
    await a?.moveToCompleted(1, 'lock-0', false);
    await client.zadd(keyOf('completed'), Date.now() - 2 * 3_600_000, 'a');

    await b?.moveToCompleted(1, 'lock-1', false);

    expect(await ids('completed')).toEqual(['b']);
    await expect(queue.getJob('a')).resolves.toBeUndefined();
  });

  it('one has lost its lock to another worker → it is rejected, and the others complete', async () => {
    const { add, takeAll, keyOf, ids } = await setup();
    await add(['a', 'b', 'c', 'd']);
    const jobs = await takeAll(3);
    await client.set(`${keyOf('a')}:lock`, 'another’s');
    await client.del(`${keyOf('b')}:lock`);

    const ended = await Promise.allSettled(
      jobs.map((job, n) => job.moveToCompleted(1, `lock-${n}`, true)),
    );

    expect(ended).toEqual([
      { status: 'rejected', reason: expect.objectContaining({ code: -6 }) },
      { status: 'fulfilled', value: expect.arrayContaining(['d']) },
      { status: 'fulfilled', value: undefined },
    ]);
    expect((await ids('completed')).sort()).toEqual(['b', 'c']);
    expect((await ids('active')).sort()).toEqual(['a', 'd']);
  });

  it('the lock of one expired and it waits again → it is rejected, and stays in the queue', async () => {
    const { add, takeAll, keyOf, ids } = await setup();
    await add(['a', 'b']);
    const jobs = await takeAll(2);
    await client.del(`${keyOf('a')}:lock`);
    await client.lrem(keyOf('active'), 1, 'a');
    await client.lpush(keyOf('wait'), 'a');

    const ended = await Promise.allSettled(
      jobs.map((job, n) => job.moveToCompleted(1, `lock-${n}`, false)),
    );

    expect(ended.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    expect([await ids('completed'), await ids('wait')]).toEqual([['b'], ['a']]);
  });

  it.each([
    { dedupeWindowMs: 86_400_000 / 7 },
    { dedupeWindowMs: 1e30 },
    { dedupeWindowMs: 'long' },
  ])('one has the dedupe window $dedupeWindowMs → all complete', async ({ dedupeWindowMs }) => {
    const { queue, takeAll, ids } = await setup();
    for (const jobId of ['a', 'b', 'c']) {
      await queue.add('signal', jobId === 'b' ? { dedupeWindowMs } : {}, { jobId });
    }
    const jobs = await takeAll(3);

    await Promise.all(jobs.map((job, n) => job.moveToCompleted(1, `lock-${n}`, false)));

    expect((await ids('completed')).sort()).toEqual(['a', 'b', 'c']);
    expect(await client.pttl('{test}:dedupe:b')).toBeGreaterThan(0);
    await client.del(...['a', 'b', 'c'].map((id) => `{test}:dedupe:${id}`));
  });

  it('one is delivered → its skip record is deleted, and its dedupe record is not shortened', async () => {
    const { add, takeAll } = await setup();
    await add(['sent', 'skipped']);
    for (const id of ['sent', 'skipped']) await client.set(`{test}:skipped:${id}`, 'record');
    await client.set('{test}:dedupe:sent', 'accepted', 'PX', 72 * 3_600_000);
    const [sent, skipped] = await takeAll(2);

    await Promise.all([
      sent?.moveToCompleted({ outcome: 'delivered' }, 'lock-0', false),
      skipped?.moveToCompleted({ outcome: 'skipped' }, 'lock-1', false),
    ]);

    expect(await client.exists('{test}:skipped:sent')).toBe(0);
    expect(await client.exists('{test}:skipped:skipped')).toBe(1);
    expect(await client.pttl('{test}:dedupe:sent')).toBeGreaterThan(71 * 3_600_000);
  });

  it('the script fails while it takes the next jobs → every job is still in a list', async () => {
    const { add, takeAll, ids, keyOf } = await setup();
    await add(['a', 'b', 'c']);
    const [job] = await takeAll(1);
    await client.set(`${keyOf('b')}`, 'no hash');

    await job?.moveToCompleted(1, 'lock-0', true).catch(() => {});

    expect(await ids('completed')).toEqual(['a']);
    expect([...(await ids('active')), ...(await ids('wait'))].sort()).toEqual(['b', 'c']);
  });

  it('Redis rejects the script → every completion rejects', async () => {
    const { add, takeAll, keyOf } = await setup();
    await add(['a', 'b']);
    const jobs = await takeAll(2);
    await client.set(keyOf('completed'), 'no sorted set');

    const ended = await Promise.allSettled(
      jobs.map((job, n) => job.moveToCompleted(1, `lock-${n}`, true)),
    );

    expect(ended.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await client.del(keyOf('completed'));
  });

  it('Redis is full → they complete', async () => {
    const { add, takeAll, ids } = await setup();
    await add(['a', 'b']);
    const jobs = await takeAll(2);
    await client.config('SET', 'maxmemory', '1kb');
    try {
      await Promise.all(jobs.map((job, n) => job.moveToCompleted(1, `lock-${n}`, true)));
    } finally {
      await client.config('SET', 'maxmemory', '0');
    }
    expect((await ids('completed')).sort()).toEqual(['a', 'b']);
  });
});

describe('BullMQ’s own scripts take over', () => {
  const completeOne = async (at: Awaited<ReturnType<typeof setup>>) => {
    const job = await at.take('lock');
    return { job, complete: () => job.moveToCompleted(1, 'lock', true) };
  };

  it('the queue is paused → no next job', async () => {
    const at = await setup();
    await at.add(['a', 'b']);
    const { complete } = await completeOne(at);
    await at.queue.pause();
    await expect(complete()).resolves.toBeUndefined();
    expect(await at.ids('active')).toEqual([]);
  });

  it('the global concurrency is reached → no next job', async () => {
    const at = await setup();
    await at.add(['a', 'b']);
    const { complete } = await completeOne(at);
    await at.queue.setGlobalConcurrency(1);
    await expect(complete()).resolves.toBeUndefined();
    expect(await at.ids('active')).toEqual([]);
  });

  it('a delayed job is due → no next job, because that one comes first', async () => {
    const at = await setup();
    await at.add(['a', 'b']);
    const { complete } = await completeOne(at);
    await at.add(['late'], { delay: 60_000 });
    await client.zadd(at.keyOf('delayed'), 0, 'late');
    await expect(complete()).resolves.toBeUndefined();
    expect(await at.ids('active')).toEqual([]);
  });

  it('a job has its own removeOnComplete → removed as BullMQ does', async () => {
    const at = await setup();
    await at.add(['a'], { removeOnComplete: true });
    const { complete } = await completeOne(at);
    await complete();
    expect(await at.ids('completed')).toEqual([]);
    await expect(at.queue.getJob('a')).resolves.toBeUndefined();
  });
});
