import { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';

import { sharedRun } from '../../runtime/async.ts';
import type { Backend, BackendOptions, Process, QueueName } from '../backend.ts';
import { startBullWorker, toBullOptions } from '../bullWorker.ts';
import { keepSkippedMsOf } from '../dedupeWindow.ts';
import { indexTimesOf } from '../searchIndex.ts';
import { createRedisAdmission } from './admission.ts';
import { createGroupedMoves, createQuickStates } from './batchedCompletion.ts';
import { createRedisLedger } from './bookkeeping.ts';
import { createRedisLane } from './breakerStore.ts';
import { connectRedis, createTroubleOf, type RedisAddress, type Temper } from './connection.ts';
import { createRedisJobData, createRedisJobs } from './jobStore.ts';
import { createRedisSettlements } from './outcomeStream.ts';
import { createReplicas } from './replication.ts';
import { inspectRedis, readMemoryUse } from './safetyCheck.ts';
import { createRedisIndex } from './searchIndex.ts';
import { createRedisTokens } from './tokenStore.ts';
import { createRedisHistory } from './workerStats.ts';

const LOST: ReadonlySet<string> = new Set(['reconnecting', 'close', 'end']);

type Options = BackendOptions &
  RedisAddress & {
    temper: Temper;
    /** How many replicas must have a signal before it counts as accepted. Default 0. */
    waitReplicas?: number | undefined;
  };

/** The queue in Redis. Connects by itself, and again after every loss. */
export const openRedis = ({
  url,
  sentinels,
  temper,
  waitReplicas = 0,
  prefix,
  logger,
  ...options
}: Options): Backend => {
  const connect = () => connectRedis({ url, sentinels }, temper, logger);
  const client = connect();
  const troubleOf = createTroubleOf(url);
  let trouble: string | undefined;
  client.on('error', (err) => {
    trouble = troubleOf(err);
  });
  client.on('ready', () => {
    trouble = undefined;
  });
  const replicas = createReplicas({ writer: client, connect, prefix, needed: waitReplicas });
  const queues = new Map<QueueName, Promise<Queue>>();
  const opened = new Set<Queue>();
  const ping = sharedRun(() => client.ping());

  const bullQueue = (name: QueueName): Promise<Queue> => {
    const known = queues.get(name);
    if (known !== undefined) return known;
    const opening = openQueue(client, prefix, name);
    queues.set(name, opening);
    opening.then(
      (queue) => opened.add(queue),
      // A queue whose first contact failed stays broken for good: the next caller gets a new one.
      () => queues.delete(name),
    );
    return opening;
  };

  return {
    queue: bullQueue,
    bullQueue,
    work: async (name, process, workerOptions) => {
      const bullOptions = { connection: client, prefix, ...toBullOptions(workerOptions) };
      const isReachable = () => client.status === 'ready';
      const { removeOnComplete: keep } = workerOptions;
      const moves =
        keep === undefined
          ? createQuickStates(client)
          : createGroupedMoves({ client, prefix, keep, lockMs: bullOptions.lockDuration });
      const start = (own: Process) => new Worker(name, own, bullOptions, moves);
      return startBullWorker(start, process, workerOptions, { logger, isReachable });
    },
    admit: createRedisAdmission(client, prefix),
    ledger: createRedisLedger({ client, prefix }),
    index: createRedisIndex({ client, prefix, ...indexTimesOf(options) }),
    history: createRedisHistory({ client, prefix }),
    settlements: createRedisSettlements(client, prefix),
    lane: createRedisLane(client, prefix),
    tokens: createRedisTokens(client, prefix),
    jobData: createRedisJobData(client, prefix),
    jobs: createRedisJobs({ client, prefix, keepSkippedMs: keepSkippedMsOf(options) }),
    replicated: replicas.replicated,
    inspect: () => inspectRedis(client, waitReplicas),
    memoryUse: () => readMemoryUse(client),
    onReached: (listener) => {
      client.on('ready', listener);
      if (client.status === 'ready') listener();
    },
    ping: async () => {
      // Asked at every probe: during an outage nothing may pile up.
      if (LOST.has(client.status)) throw new Error('Redis is not reachable');
      await ping();
    },
    trouble: () => trouble,
    close: async () => {
      // Not waiting for those that never came to be: without a Redis they would be waited for for ever.
      await Promise.all([...opened].map((queue) => queue.close()));
      replicas.close();
      client.disconnect();
    },
  };
};

const openQueue = async (client: Redis, prefix: string, name: QueueName): Promise<Queue> => {
  const queue = new Queue(name, { connection: client, prefix }, createQuickStates(client));
  // The connection reports its own errors; without a listener here they would end the process.
  queue.on('error', () => {});
  try {
    await queue.waitUntilReady();
    return queue;
  } catch (err) {
    // Lets go of the shared connection's events.
    queue.close().catch(() => {});
    throw err;
  }
};
