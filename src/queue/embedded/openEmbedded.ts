import { createPostgresBackend, type Queue, withBackend } from 'bullmq';

import {
  type Backend,
  type BackendOptions,
  type Process,
  type QueueName,
  SIGNALS,
} from '../backend.ts';
import { startBullWorker, toBullOptions } from '../bullWorker.ts';
import { createEmbeddedAdmission } from '../embeddedAdmission.ts';
import { openEmbeddedHistory } from '../embeddedHistory.ts';
import { openEmbeddedIndex } from '../embeddedIndex.ts';
import { createEmbeddedJobs } from '../embeddedJobs.ts';
import { openEmbeddedLedger } from '../embeddedLedger.ts';
import { openEmbeddedTokens } from '../embeddedTokens.ts';
import { createOwnJobData } from '../jobData.ts';
import { keepSkippedMsOf } from '../ledgerTimes.ts';
import { indexTimesOf } from '../signalIndex.ts';
import { createMemoryLane } from './breakerStore.ts';
import { openPglite } from './pglite.ts';

type Options = Omit<BackendOptions, 'prefix'> & {
  /** Where the queue is kept, already locked by the caller; in memory if absent. */
  folder?: string | undefined;
};

/** The queue inside this process, for development, the demo and tests. One process only. */
export const openEmbedded = async ({ folder, logger, ...options }: Options): Promise<Backend> => {
  const database = await openPglite(folder);
  const bull = withBackend(createPostgresBackend);
  const connection = database.pool;
  const queues = new Map<QueueName, Promise<Queue>>();

  const openQueue = async (name: QueueName): Promise<Queue> => {
    const queue = new bull.Queue(name, { connection });
    queue.on('error', () => {});
    await queue.waitUntilReady();
    // Its type differs only in the backend, which nobody outside BullMQ touches; Bull Board's
    // adapter, which is glad of either, names the one on Redis.
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
    work: async (name, process, workerOptions) => {
      const bullOptions = { connection, ...toBullOptions(workerOptions) };
      const start = (own: Process) => new bull.Worker(name, own, bullOptions);
      return startBullWorker(start, process, workerOptions, { logger, isReachable: () => true });
    },
    ledger: await openEmbeddedLedger({ database }),
    admit: createEmbeddedAdmission({ database, queue: () => bullQueue(SIGNALS) }),
    index: await openEmbeddedIndex({ database, ...indexTimesOf(options) }),
    history: await openEmbeddedHistory({ database }),
    // Nobody moves an outbox into it.
    settlements: { take: async () => [], done: async () => {} },
    lane: createMemoryLane(),
    tokens: await openEmbeddedTokens(database),
    jobData: createOwnJobData(),
    jobs: createEmbeddedJobs({ database, keepSkippedMs: keepSkippedMsOf(options) }),
    // It has no replicas, never evicts, and is there as long as this process is.
    replicated: async () => {},
    inspect: async () => [],
    memoryUse: async () => undefined,
    onReached: (listener) => listener(),
    ping: async () => {
      await database.query('SELECT 1');
    },
    trouble: () => undefined,
    close: async () => {
      await Promise.allSettled([...queues.values()].map(async (queue) => (await queue).close()));
      await database.close();
    },
  };
};
