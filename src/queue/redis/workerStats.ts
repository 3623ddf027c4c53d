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

/** In Redis, under `PREFIX:worker-stats:…`: a hash for each moment, and the workers by when they were heard of. */
export const createRedisWorkerStats = ({
  client,
  prefix,
  now = Date.now,
}: Options): WorkerStats => {
  const keyOf = (name: string | number): string => `${prefix}:worker-stats:${name}`;
  const listsOf = (queue: string, ...lists: string[]) =>
    lists.map((list) => `${prefix}:${queue}:${list}`);
  const counted = [
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
      const lengths = counted.map(({ length }) => length);
      await recordHeartbeat(
        [workers, keyOf(bucketStart(now())), ...counted.flat()],
        [worker, KEEP_MISSING_WORKERS_MS, KEEP_BUCKETS_MS, ...lengths, ...counts],
      );
    },
    removeWorker: async (worker) => {
      await client.zrem(workers, worker);
    },
    read: async (sinceMs) => {
      const times = bucketsSince(sinceMs, now());
      const [heard, stored] = await Promise.all([
        readHeartbeats([workers], []),
        Promise.all(times.map((at) => client.hgetall(keyOf(at)))),
      ]);
      const [time, listed] = Array.isArray(heard) ? heard : [];
      return {
        now: Number(time),
        workers: toWorkers(Array.isArray(listed) ? listed : []),
        buckets: times.flatMap((at, index) => {
          const counts = stored[index] ?? {};
          return Object.keys(counts).length === 0 ? [] : [toBucket(at, counts)];
        }),
      };
    },
  };
};

const toWorkers = (listed: unknown[]) =>
  listed.flatMap((worker, index) =>
    index % 2 === 0 ? [{ worker: String(worker), at: Number(listed[index + 1]) }] : [],
  );
