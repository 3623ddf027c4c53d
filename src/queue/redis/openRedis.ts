import { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';

import { singleFlight } from '../../runtime/async.ts';
import type { Backend, BackendOptions, Process, QueueName } from '../backend.ts';
import { startBullWorker, toBullOptions } from '../bullWorker.ts';
import { skipRecordTtl } from '../dedupeWindow.ts';
import { indexRetention } from '../searchIndex.ts';
import { createRedisEnqueue } from './admission.ts';
import { createBatchedCompletion, createFastJobStates } from './batchedCompletion.ts';
import { createRedisBookkeeping } from './bookkeeping.ts';
import { createRedisBreakerStore } from './breakerStore.ts';
import {
  type ConnectionProfile,
  connectRedis,
  createDescribeConnectionError,
  type RedisAddress,
} from './connection.ts';
import { createRedisJobDataStore, createRedisJobs } from './jobStore.ts';
import { createRedisOutcomeStream } from './outcomeStream.ts';
import { createReplicas } from './replication.ts';
import { inspectRedis, readMemoryUse } from './safetyCheck.ts';
import { createRedisIndex } from './searchIndex.ts';
import { createRedisTokens } from './tokenStore.ts';
import { createRedisWorkerStats } from './workerStats.ts';

const LOST: ReadonlySet<string> = new Set(['reconnecting', 'close', 'end']);

type Options = BackendOptions &
  RedisAddress & {
    profile: ConnectionProfile;
    /** How many replicas must have a signal before it counts as accepted. Default 0. */
    waitReplicas?: number | undefined;
  };

/** The queue in Redis. Connects by itself, and again after every loss. */
export const openRedis = ({
  url,
  sentinels,
  profile,
  waitReplicas = 0,
  prefix,
  logger,
  ...options
}: Options): Backend => {
  const connect = () => connectRedis({ url, sentinels }, profile, logger);
  const client = connect();
  const troubleOf = createDescribeConnectionError(url);
  let lastError: string | undefined;
  client.on('error', (err) => {
    lastError = troubleOf(err);
  });
  client.on('ready', () => {
    lastError = undefined;
  });
  const replicas = createReplicas({ writer: client, connect, prefix, needed: waitReplicas });
  const queues = new Map<QueueName, Promise<Queue>>();
  const opened = new Set<Queue>();
  const ping = singleFlight(() => client.ping());

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
          ? createFastJobStates(client)
          : createBatchedCompletion({ client, prefix, keep, lockMs: bullOptions.lockDuration });
      const start = (own: Process) => new Worker(name, own, bullOptions, moves);
      return startBullWorker(start, process, workerOptions, { logger, isReachable });
    },
    enqueueIfAbsent: createRedisEnqueue(client, prefix),
    bookkeeping: createRedisBookkeeping({ client, prefix }),
    index: createRedisIndex({ client, prefix, ...indexRetention(options) }),
    workerStats: createRedisWorkerStats({ client, prefix }),
    outcomeStream: createRedisOutcomeStream(client, prefix),
    breaker: createRedisBreakerStore(client, prefix),
    tokens: createRedisTokens(client, prefix),
    jobData: createRedisJobDataStore(client, prefix),
    jobs: createRedisJobs({ client, prefix, skipRecordTtlMs: skipRecordTtl(options) }),
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
    lastError: () => lastError,
    close: async () => {
      // Not waiting for those that never came to be: without a Redis they would be waited for for ever.
      await Promise.all([...opened].map((queue) => queue.close()));
      replicas.close();
      client.disconnect();
    },
  };
};

const openQueue = async (client: Redis, prefix: string, name: QueueName): Promise<Queue> => {
  const queue = new Queue(name, { connection: client, prefix }, createFastJobStates(client));
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
