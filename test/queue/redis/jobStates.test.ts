import { createRedisBackend, Queue, type RedisQueueBackend, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { createFastJobStates } from '../../../src/queue/redis/jobStates.ts';
import { type RedisServer, startRedis } from '../../support/redisServer.ts';

let redis: RedisServer;
let client: Redis;

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url, { maxRetriesPerRequest: null });
});
afterAll(async () => {
  client.disconnect();
  await redis.stop();
});

it('a job in any state, or no job → the fast state equals BullMQ’s own', async () => {
  const options = { connection: client, prefix: '{test}' };
  const fast = new Queue('q', options, createFastJobStates(client));
  const own = new Queue('q', options, createRedisBackend);
  const worker = new Worker<unknown, unknown, string, RedisQueueBackend>(
    'q',
    undefined,
    options,
    createRedisBackend,
  );
  for (const jobId of ['done', 'bad', 'held', 'waits']) await own.add('signal', {}, { jobId });
  const take = async () => (await worker.getNextJob('lock', { block: false })) ?? undefined;
  await (await take())?.moveToCompleted(1, 'lock', false);
  await (await take())?.moveToFailed(new Error('no'), 'lock', false);
  await take();
  await own.add('signal', {}, { jobId: 'late', delay: 60_000 });
  await own.add('signal', {}, { jobId: 'first', priority: 1 });
  await (await own.getJob('waits'))?.log('a line');

  const states = async (queue: typeof fast) =>
    Promise.all(
      // Besides jobs: names of BullMQ's own keys, and a name that does not exist.
      [
        'done',
        'bad',
        'held',
        'waits',
        'late',
        'first',
        'meta',
        'wait',
        'waits:logs',
        'nothing',
      ].map((id) => queue.getJobState(id)),
    );

  expect(await states(fast)).toEqual(await states(own));
  expect(await states(fast)).toEqual([
    'completed',
    'failed',
    'active',
    'waiting',
    'delayed',
    'prioritized',
    'unknown',
    'unknown',
    'unknown',
    'unknown',
  ]);
  expect(await (await fast.getJob('held'))?.getState()).toBe('active');
  await Promise.all([worker.close(), fast.close(), own.close()]);
});
