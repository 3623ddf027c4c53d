import type { Redis } from 'ioredis';
import { DEAD_LETTERS, SIGNALS } from '../backend.ts';
import {
  bucketStart,
  bucketsSince,
  KEEP_BUCKETS_MS,
  KEEP_MISSING_WORKERS_MS,
  OUTCOME_PREFIX,
  toBucket,
  type WorkerStats,
} from '../workerStats.ts';
import { defineScript } from './commands.ts';

type Options = { client: Redis; prefix: string; now?: () => number };

/**
 * Under `PREFIX:worker-stats:…`: a hash for each bucket, and the workers by their last heartbeat. Counts
 * jobs in the lists and sorted sets of BullMQ 6.7.0.
 */
export const createRedisWorkerStats = ({
  client,
  prefix,
  now = Date.now,
}: Options): WorkerStats => {
  const keyOf = (name: string | number): string => `${prefix}:worker-stats:${name}`;
  const listsOf = (queue: string, ...lists: string[]) =>
    lists.map((list) => `${prefix}:${queue}:${list}`);
  const countedLists = [
    listsOf(SIGNALS, 'wait', 'paused', 'prioritized'),
    listsOf(SIGNALS, 'delayed'),
    [
      ...listsOf(SIGNALS, 'failed'),
      ...listsOf(DEAD_LETTERS, 'wait', 'active', 'delayed', 'failed'),
    ],
  ];
  const workers = keyOf('workers');
  const recordHeartbeat = defineScript(client, 'recordHeartbeat');
  const readHeartbeats = defineScript(client, 'readHeartbeats');

  return {
    recordHeartbeat: async ({ worker, answers }) => {
      const counts = Object.entries(answers).flatMap(([name, count]) => [
        `${OUTCOME_PREFIX}${name}`,
        count,
      ]);
      const lengths = countedLists.map(({ length }) => length);
      await recordHeartbeat(
        [workers, keyOf(bucketStart(now())), ...countedLists.flat()],
        [worker, KEEP_MISSING_WORKERS_MS, KEEP_BUCKETS_MS, ...lengths, ...counts],
      );
    },
    removeWorker: async (worker) => {
      await client.zrem(workers, worker);
    },
    read: async (sinceMs) => {
      const times = bucketsSince(sinceMs, now());
      const [heartbeats, stored] = await Promise.all([
        readHeartbeats([workers], []),
        Promise.all(times.map((at) => client.hgetall(keyOf(at)))),
      ]);
      const [time, workerTimes] = Array.isArray(heartbeats) ? heartbeats : [];
      return {
        now: Number(time),
        workers: toWorkers(Array.isArray(workerTimes) ? workerTimes : []),
        buckets: times.flatMap((at, index) => {
          const counts = stored[index] ?? {};
          return Object.keys(counts).length === 0 ? [] : [toBucket(at, counts)];
        }),
      };
    },
  };
};

/** From a flat list of worker and time. */
const toWorkers = (flat: unknown[]) =>
  flat.flatMap((worker, index) =>
    index % 2 === 0 ? [{ worker: String(worker), at: Number(flat[index + 1]) }] : [],
  );
