import { DEAD_LETTERS, SIGNALS } from '../backend.ts';
import {
  bucketStart,
  bucketsSince,
  KEEP_BUCKETS_MS,
  OUTCOME_PREFIX,
  toBucket,
  type WorkerStats,
} from '../workerStats.ts';
import type { KeyValueStore } from './keyValueStore.ts';

const COUNT_JOBS = `
  SELECT count(*) FILTER (WHERE queue = '${SIGNALS}' AND state = 'waiting')::int AS waiting,
    count(*) FILTER (WHERE queue = '${SIGNALS}' AND state = 'delayed')::int AS retrying,
    count(*) FILTER (WHERE queue = '${DEAD_LETTERS}' OR state = 'failed')::int AS dead
  FROM bullmq.job WHERE queue IN ('${SIGNALS}', '${DEAD_LETTERS}') AND state <> 'completed'`;

type Deps = { store: KeyValueStore; now?: () => number };

/** Buckets of counts. The only worker runs in this process, so heartbeats stay in memory. */
export const createWorkerStats = ({ store, now = Date.now }: Deps): WorkerStats => {
  const lastSeen = new Map<string, number>();

  return {
    recordHeartbeat: async ({ worker, answers }) => {
      lastSeen.set(worker, now());
      const at = bucketStart(now());
      const key = String(at);
      await store.transaction(async (tx) => {
        const bucket = { ...(await tx.find('workerStats', key))?.value };
        const { rows } = await tx.query<Record<string, number>>(COUNT_JOBS);
        for (const [name, count] of Object.entries(rows[0] ?? {})) {
          bucket[name] = Math.max(bucket[name] ?? 0, count);
        }
        for (const [code, count] of Object.entries(answers)) {
          bucket[`${OUTCOME_PREFIX}${code}`] = (bucket[`${OUTCOME_PREFIX}${code}`] ?? 0) + count;
        }
        await tx.put('workerStats', [{ key, value: bucket, expiresAt: at + KEEP_BUCKETS_MS }]);
      });
    },
    removeWorker: async (worker) => {
      lastSeen.delete(worker);
    },
    read: async (sinceMs) => {
      const times = bucketsSince(sinceMs, now());
      const buckets = await store.get('workerStats', times.map(String));
      return {
        now: now(),
        workers: [...lastSeen].map(([worker, at]) => ({ worker, at })),
        buckets: times.flatMap((at) => {
          const bucket = buckets.get(String(at));
          return bucket === undefined ? [] : [toBucket(at, bucket.value)];
        }),
      };
    },
  };
};
