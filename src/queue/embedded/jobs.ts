import { type JobDataStore, type JobStore, SIGNALS, type SkipRecord } from '../backend.ts';
import { msLeft } from '../dedupeWindow.ts';
import type { TakenJob } from '../jobSource.ts';
import type { PgliteDatabase } from './pglite.ts';

// One statement: if the skip record were missing after the removal, the signal would be lost.
const removeWhere = (condition: string) => `
  WITH removed AS (DELETE FROM bullmq.job WHERE queue = $1 AND id = $2 AND ${condition} RETURNING id),
  skip_record AS (
    INSERT INTO public.skipped SELECT $3, $4::json, $5 FROM removed WHERE $4::text IS NOT NULL
    ON CONFLICT (signal_id) DO UPDATE SET life = excluded.life, expires_at = excluded.expires_at)
  SELECT id FROM removed`;

const REMOVE_WAITING = removeWhere(`state IN ('waiting', 'delayed')`);
const REMOVE_FINISHED = removeWhere('state = $6 AND finished_at_ms = $7');

type Options = { database: PgliteDatabase; skipRecordTtlMs: number; now?: () => number };

/** Jobs in the table of BullMQ 6.7.0. */
export const createEmbeddedJobs = ({
  database: { query },
  skipRecordTtlMs,
  now = Date.now,
}: Options): JobStore => {
  // The dedupe record exists since the signal was enqueued, so only the skip record is written.
  const skipValues = (id: string, skip?: SkipRecord) => [
    skip?.record.signalId ?? id,
    skip === undefined ? null : JSON.stringify(skip.record),
    now() + Math.max(skipRecordTtlMs, skip === undefined ? 0 : msLeft(skip.dedupe.until, now())),
  ];

  return {
    scan: async function* (name) {
      const { rows } = await query<{ id: string; text: string }>(
        'SELECT id, data::text AS text FROM bullmq.job WHERE queue = $1',
        [name],
      );
      yield* rows;
    },

    replaceData: async (name, { id, text }, data) => {
      const { rowCount } = await query(
        `UPDATE bullmq.job SET data = $3::jsonb
         WHERE queue = $1 AND id = $2 AND data = $4::jsonb`,
        [name, id, JSON.stringify(data), text],
      );
      return rowCount === 1;
    },

    removeFinished: async (name, state, { jobId, finishedAt }, skip) => {
      const values = [name, jobId, ...skipValues(jobId, skip), state, finishedAt];
      const { rows } = await query(REMOVE_FINISHED, values);
      return rows.length === 1;
    },

    countDue: async (name) => {
      const { rows } = await query<{ due: string }>(
        `SELECT count(*) AS due FROM bullmq.job
         WHERE queue = $1 AND state = 'delayed' AND process_at_ms <= $2`,
        [name, now()],
      );
      return Number(rows[0]?.due ?? 0);
    },

    removeWaiting: async (name, jobId, skip) => {
      const { rows } = await query(REMOVE_WAITING, [name, jobId, ...skipValues(jobId, skip)]);
      return rows.length === 1;
    },
  };
};

/** Does not check the lock: one process has the queue to itself, so no other worker can write the data. */
export const createEmbeddedJobDataStore = ({ query }: PgliteDatabase): JobDataStore => {
  const write = async (job: TakenJob, data: unknown): Promise<boolean> => {
    await query('UPDATE bullmq.job SET data = $3::jsonb WHERE queue = $1 AND id = $2', [
      SIGNALS,
      job.id,
      JSON.stringify(data),
    ]);
    job.data = data;
    return true;
  };
  return { write, replace: (job, _, to) => write(job, to) };
};
