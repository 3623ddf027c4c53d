import { DEAD_LETTERS, SIGNALS } from '../backend.ts';
import {
  bucketStart,
  bucketsSince,
  KEEP_BUCKETS_MS,
  OUTCOME_PREFIX,
  toBucket,
  type WorkerStats,
} from '../workerStats.ts';
import type { PgliteDatabase } from './pglite.ts';

const TABLE = `CREATE TABLE IF NOT EXISTS public.history (
  at bigint NOT NULL, name text NOT NULL, value bigint NOT NULL, PRIMARY KEY (at, name))`;

const COUNT_JOBS = `
  SELECT count(*) FILTER (WHERE queue = '${SIGNALS}' AND state = 'waiting') AS waiting,
    count(*) FILTER (WHERE queue = '${SIGNALS}' AND state = 'delayed') AS retrying,
    count(*) FILTER (WHERE queue = '${DEAD_LETTERS}' OR state = 'failed') AS dead
  FROM bullmq.job WHERE queue IN ('${SIGNALS}', '${DEAD_LETTERS}') AND state <> 'completed'`;

type Options = { database: Pick<PgliteDatabase, 'query'>; now?: () => number };

/** Buckets beside BullMQ's tables. All workers run in this process, so heartbeats stay in memory. */
export const openEmbeddedWorkerStats = async ({
  database: { query },
  now = Date.now,
}: Options): Promise<WorkerStats> => {
  await query(TABLE);
  await query('DELETE FROM public.history WHERE at < $1', [now() - KEEP_BUCKETS_MS]);
  const lastHeartbeats = new Map<string, number>();

  const write = (at: number, counts: Record<string, number>, onConflict: string) =>
    query(
      `INSERT INTO public.history
       SELECT $1, name, value FROM unnest($2::text[], $3::bigint[]) AS counts (name, value)
       ON CONFLICT (at, name) DO UPDATE SET value = ${onConflict}`,
      [at, Object.keys(counts), Object.values(counts)],
    );

  return {
    recordHeartbeat: async ({ worker, answers }) => {
      lastHeartbeats.set(worker, now());
      const at = bucketStart(now());
      const { rows } = await query<Record<'waiting' | 'retrying' | 'dead', string>>(COUNT_JOBS);
      const [{ waiting, retrying, dead } = { waiting: 0, retrying: 0, dead: 0 }] = rows;
      const sizes = { waiting: Number(waiting), retrying: Number(retrying), dead: Number(dead) };
      await write(at, sizes, 'greatest(public.history.value, excluded.value)');
      const counts = Object.entries(answers).map(([name, count]) => [
        `${OUTCOME_PREFIX}${name}`,
        count,
      ]);
      await write(at, Object.fromEntries(counts), 'public.history.value + excluded.value');
    },
    removeWorker: async (worker) => {
      lastHeartbeats.delete(worker);
    },
    read: async (sinceMs) => {
      const [first] = bucketsSince(sinceMs, now());
      const { rows } = await query<{ at: string; name: string; value: string }>(
        'SELECT at, name, value FROM public.history WHERE at >= $1 ORDER BY at',
        [first],
      );
      const stored = new Map<number, Record<string, string>>();
      for (const { at, name, value } of rows) {
        stored.set(Number(at), { ...stored.get(Number(at)), [name]: value });
      }
      return {
        now: now(),
        workers: [...lastHeartbeats].map(([worker, at]) => ({ worker, at })),
        buckets: [...stored].map(([at, counts]) => toBucket(at, counts)),
      };
    },
  };
};
