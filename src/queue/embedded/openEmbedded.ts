import { createPostgresBackend, type Queue, withBackend } from 'bullmq';
import { type Backend, type BackendOptions, type QueueName, SIGNALS } from '../backend.ts';
import { skipRecordTtl } from '../dedupeWindow.ts';
import { explainLocalFailure } from '../failure.ts';
import { workerOptions } from '../jobOptions.ts';
import { type BullWorker, createBullJobSource, createLogWorkerError } from '../jobSource.ts';
import { indexRetention } from '../searchIndex.ts';
import { createEmbeddedEnqueue } from './admission.ts';
import { openEmbeddedBookkeeping } from './bookkeeping.ts';
import { createMemoryBreakerStore } from './breakerStore.ts';
import { openHealthProbes } from './healthProbes.ts';
import { createEmbeddedJobDataStore, createEmbeddedJobs } from './jobs.ts';
import { openPglite } from './pglite.ts';
import { openEmbeddedPositionStore } from './positionStore.ts';
import { openEmbeddedIndex } from './searchIndex.ts';
import { openEmbeddedTokens } from './tokenStore.ts';
import { openEmbeddedWorkerStats } from './workerStats.ts';

type Options = Omit<BackendOptions, 'prefix'> & {
  /** Where the queue is stored. The caller must have locked it. Absent: in memory. */
  folder?: string | undefined;
};

/** The queue inside this process, for development, the demo and tests. Only one process may open a folder. */
export const openEmbedded = async ({ folder, logger, ...options }: Options): Promise<Backend> => {
  const database = await openPglite(folder);
  const bull = withBackend(createPostgresBackend);
  const connection = database.pool;
  const queues = new Map<QueueName, Promise<Queue>>();

  const openQueue = async (name: QueueName): Promise<Queue> => {
    const queue = new bull.Queue(name, { connection });
    // Without this listener, an error would end the process. Callers see errors as rejections.
    queue.on('error', () => {});
    await queue.waitUntilReady();
    // The type differs from that of a queue on Redis only in BullMQ's internal backend. Bull Board's
    // adapter accepts both, but names the one on Redis.
    return queue as unknown as Queue;
  };
  const bullQueue = (name: QueueName): Promise<Queue> => {
    const opened = queues.get(name) ?? openQueue(name);
    queues.set(name, opened);
    return opened;
  };

  return {
    queue: bullQueue,
    bullQueue,
    openJobs: (name, keep) => {
      // As with the queue, the type differs only in BullMQ's internal backend.
      const openWorker = () =>
        new bull.Worker(name, null, {
          connection,
          ...workerOptions(keep),
        }) as unknown as BullWorker;
      return createBullJobSource({ openWorker, onError: createLogWorkerError(logger) });
    },
    bookkeeping: await openEmbeddedBookkeeping({ database }),
    enqueueIfAbsent: createEmbeddedEnqueue({ database, queue: () => bullQueue(SIGNALS) }),
    // No write is ever in doubt.
    takeBack: async () => {},
    index: await openEmbeddedIndex({ database, ...indexRetention(options) }),
    workerStats: await openEmbeddedWorkerStats({ database }),
    // No relay moves outbox rows into the embedded queue.
    outcomeStream: { take: async () => [], acknowledge: async () => {} },
    clock: { read: async () => Date.now(), estimate: Date.now },
    breaker: createMemoryBreakerStore(),
    tokens: await openEmbeddedTokens(database),
    positions: await openEmbeddedPositionStore(database),
    jobData: createEmbeddedJobDataStore(database),
    jobs: createEmbeddedJobs({ database, skipRecordTtlMs: skipRecordTtl(options) }),
    // The database has no replicas, never evicts, and is reachable as long as this process runs.
    waitForReplicas: async () => {},
    inspect: async () => [],
    memoryUse: async () => undefined,
    onConnected: (listener) => listener(),
    ...(await openHealthProbes(database)),
    explainFailure: explainLocalFailure,
    close: async () => {
      await Promise.allSettled([...queues.values()].map(async (queue) => (await queue).close()));
      await database.close();
    },
  };
};
