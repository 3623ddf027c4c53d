import { BULLMQ_MAJOR_VERSION, Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Backend, BackendOptions, QueueName } from '../backend.ts';
import { skipRecordTtl } from '../dedupeWindow.ts';
import { workerOptions } from '../jobOptions.ts';
import { createBullJobSource, createLogWorkerError } from '../jobSource.ts';
import { indexRetention } from '../searchIndex.ts';
import { createRedisEnqueue } from './admission.ts';
import { createRedisBookkeeping } from './bookkeeping.ts';
import { createRedisBreakerStore } from './breakerStore.ts';
import { createRedisClock } from './clock.ts';
import {
  type ConnectionProfile,
  connectRedis,
  MAX_QUESTIONS,
  type RedisAddress,
} from './connection.ts';
import { createExplainFailure, observeConnection } from './explainFailure.ts';
import { createHealthProbes } from './healthProbes.ts';
import { holdWhileInDoubt } from './holdWhileInDoubt.ts';
import { createRedisJobSource } from './jobSource.ts';
import { createFastJobStates } from './jobStates.ts';
import { createRedisJobDataStore, createRedisJobs } from './jobStore.ts';
import { assertBullMqMajor } from './keys.ts';
import { createMasterConnections } from './masterConnections.ts';
import { createRedisOutcomeStream } from './outcomeStream.ts';
import { createRedisPositionStore } from './positionStore.ts';
import { createReplication } from './replication.ts';
import { inspectMinReplicas, inspectRedis, readMemoryUse } from './safetyCheck.ts';
import { createRedisIndex } from './searchIndex.ts';
import { createSentinels, type Endpoint } from './sentinels.ts';
import { createRedisTokens } from './tokenStore.ts';
import { createRedisWorkerStats } from './workerStats.ts';

type Options = BackendOptions &
  RedisAddress & {
    profile: ConnectionProfile;
    /** How many replicas must have a signal before it counts as accepted. Default 0. */
    waitReplicas?: number | undefined;
  };

/** Opens the queue in Redis. Returns at once; connects in the background and reconnects after every loss. */
export const openRedis = ({
  url,
  sentinels = [],
  profile,
  waitReplicas = 0,
  prefix,
  logger,
  ...options
}: Options): Backend => {
  assertBullMqMajor(BULLMQ_MAJOR_VERSION);
  const master = sentinels.length === 0 ? undefined : openMaster(url, sentinels, profile);
  let onReadOnly = () => {};
  const connect = () =>
    connectRedis(url, profile, logger, {
      Connector: master?.Connector,
      onReadOnly: () => onReadOnly(),
    });
  const client = connect();
  const connection = observeConnection(client);
  onReadOnly = connection.noteReadOnly;
  const watch = master?.watch(() => client.stream);
  const replication = createReplication({
    writer: client,
    connect,
    prefix,
    needed: waitReplicas,
    confirmMaster: watch?.confirm,
  });
  const queues = new Map<QueueName, Promise<Queue>>();
  const openQueues = new Set<Queue>();

  const bullQueue = (name: QueueName): Promise<Queue> => {
    const existing = queues.get(name);
    if (existing !== undefined) return existing;
    const opening = openQueue(client, prefix, name);
    queues.set(name, opening);
    opening.then(
      (queue) => openQueues.add(queue),
      // A queue whose first connect failed never recovers, so the next caller opens a new one.
      () => queues.delete(name),
    );
    return opening;
  };

  return {
    queue: bullQueue,
    bullQueue,
    openJobs: (name, keep) => {
      const bull = createBullJobSource({
        openWorker: () =>
          new Worker(
            name,
            null,
            { connection: client, prefix, ...workerOptions(keep) },
            createFastJobStates(client),
          ),
        isReachable: () => client.status === 'ready',
        onError: createLogWorkerError(logger),
      });
      const source =
        keep === undefined ? bull : createRedisJobSource({ client, prefix, name, keep, bull });
      // Without replicas to wait for, the former master may hold accepted signals that no other server
      // has. Workers go on sending them while they can.
      return watch === undefined || waitReplicas === 0
        ? source
        : holdWhileInDoubt({ watch, client, prefix, name }, source);
    },
    ...createRedisEnqueue({ client, prefix }),
    bookkeeping: createRedisBookkeeping({ client, prefix }),
    index: createRedisIndex({ client, prefix, ...indexRetention(options) }),
    workerStats: createRedisWorkerStats({ client, prefix }),
    outcomeStream: createRedisOutcomeStream(client, prefix),
    clock: createRedisClock(client),
    breaker: createRedisBreakerStore(client, prefix),
    tokens: createRedisTokens(client, prefix),
    positions: createRedisPositionStore(client, prefix),
    jobData: createRedisJobDataStore(client, prefix),
    jobs: createRedisJobs({ client, prefix, skipRecordTtlMs: skipRecordTtl(options) }),
    waitForReplicas: replication.waitForReplicas,
    inspect: async (uses = []) => [
      ...(await inspectRedis({ client, prefix, waitReplicas, uses })),
      ...(watch === undefined ? [] : [await watch.inspect(), await inspectMinReplicas(client)]),
    ],
    memoryUse: () => readMemoryUse(client),
    onConnected: (listener) => {
      client.on('ready', listener);
      if (client.status === 'ready') listener();
    },
    ...createHealthProbes({ client, prefix }),
    explainFailure: createExplainFailure({ url, sentinels }, connection.read),
    close: async () => {
      connection.noteClosed();
      // Skips queues that never opened: without Redis, they would never close.
      await Promise.all([...openQueues].map((queue) => queue.close()));
      replication.close();
      client.disconnect();
      master?.close();
    },
  };
};

/** The connections to whichever Redis the Sentinels name as the master. */
const openMaster = (url: string, sentinels: readonly Endpoint[], profile: ConnectionProfile) => {
  const { hostname, protocol, searchParams } = new URL(url);
  const family = { family: Number(searchParams.get('family') ?? 0) };
  const username = searchParams.get('sentinelUsername');
  const password = searchParams.get('sentinelPassword');
  const { ask, close } = createSentinels({
    endpoints: sentinels,
    name: hostname,
    access: {
      ...family,
      ...(username === null ? {} : { username }),
      ...(password === null ? {} : { password }),
    },
  });
  const connections = createMasterConnections({
    ask,
    maxQuestions: MAX_QUESTIONS[profile],
    tls: protocol === 'rediss:',
    ...family,
  });
  return {
    ...connections,
    close: (): void => {
      connections.close();
      close();
    },
  };
};

const openQueue = async (client: Redis, prefix: string, name: QueueName): Promise<Queue> => {
  const queue = new Queue(name, { connection: client, prefix }, createFastJobStates(client));
  // The connection logs its own errors. Without this listener, an error would end the process.
  queue.on('error', () => {});
  try {
    await queue.waitUntilReady();
    return queue;
  } catch (err) {
    // Removes the queue's listeners from the shared connection.
    queue.close().catch(() => {});
    throw err;
  }
};
