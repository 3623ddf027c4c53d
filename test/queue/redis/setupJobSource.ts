import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { SIGNALS } from '../../../src/queue/backend.ts';
import { workerOptions } from '../../../src/queue/jobOptions.ts';
import {
  createBullJobSource,
  type JobSource,
  type TakenJob,
  type Wanted,
} from '../../../src/queue/jobSource.ts';
import { createRedisJobSource } from '../../../src/queue/redis/jobSource.ts';
import { createFastJobStates } from '../../../src/queue/redis/jobStates.ts';
import { type RedisServer, startRedis } from '../../support/redisServer.ts';

export const KEEP = { age: 3_600, count: 1_000 };
export const MANY: Wanted = { jobs: 100, bytes: 1024 * 1024 };
export const NO_JOBS: Wanted = { jobs: 0, bytes: 0 };
export const RESULT = { outcome: 'delivered', attempt: { number: 1 } };

export const idsOf = (jobs: readonly { id: string }[]): string[] => jobs.map(({ id }) => id);

/** Call in a file: starts a Redis. Each `setup` opens an empty queue, and a source of its jobs. */
export const useJobSource = () => {
  let redis: RedisServer;
  let client: Redis;
  let queues = 0;
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    client = new Redis(redis.url, { maxRetriesPerRequest: null });
  });
  afterEach(async () => {
    await client.config('SET', 'maxmemory', '0');
    for (const close of closing.splice(0)) await close();
  });
  afterAll(async () => {
    client.disconnect();
    await redis.stop();
  });

  const setup = async (kind: 'ours' | 'BullMQ’s own' = 'ours', keep = KEEP) => {
    queues += 1;
    const prefix = `{test-${queues}}`;
    const options = { connection: client, prefix };
    const queue = new Queue(SIGNALS, options);
    const bull = createBullJobSource({
      openWorker: () =>
        new Worker(
          SIGNALS,
          null,
          { ...options, ...workerOptions(keep) },
          createFastJobStates(client),
        ),
      onError: () => {},
    });
    const source: JobSource =
      kind === 'ours' ? createRedisJobSource({ client, prefix, name: SIGNALS, keep, bull }) : bull;
    await source.open();
    closing.push(source.close, () => queue.close());
    const keyOf = (part: string) => `${prefix}:${SIGNALS}:${part}`;

    return {
      prefix,
      queue,
      source,
      keyOf,
      add: (ids: string[], opts = {}) =>
        queue.addBulk(
          ids.map((jobId) => ({ name: 'signal', data: { jobId }, opts: { ...opts, jobId } })),
        ),
      take: async (jobs = MANY.jobs): Promise<TakenJob[]> =>
        (await source.exchange([], { ...MANY, jobs })).taken,
      complete: (jobs: readonly TakenJob[], result: unknown = RESULT, wanted = NO_JOBS) =>
        source.exchange(
          jobs.map((job) => ({ job, result })),
          wanted,
        ),
      ids: (state: 'wait' | 'active' | 'completed' | 'delayed') =>
        queue.getRanges([state], 0, -1, true),
      /** The dedupe record of a signal, and the time to live of it. */
      readDedupe: async (id: string) => {
        const key = `${prefix}:dedupe:${id}`;
        return { text: await client.get(key), ms: await client.pttl(key) };
      },
    };
  };

  return { setup, client: () => client };
};

export type JobSourceSetup = Awaited<ReturnType<ReturnType<typeof useJobSource>['setup']>>;
