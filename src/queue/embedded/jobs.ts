import type { JobStore, SkipRecord } from '../backend.ts';
import { msLeft } from '../dedupeWindow.ts';
import type { PgliteDatabase } from './pglite.ts';

// One statement: a job that is gone without the record of its skip would be a lost signal.
const removing = (where: string) => `
  WITH gone AS (DELETE FROM bullmq.job WHERE queue = $1 AND id = $2 AND ${where} RETURNING id),
  told AS (
    INSERT INTO public.skipped SELECT $3, $4::json, $5 FROM gone WHERE $4::text IS NOT NULL
    ON CONFLICT (signal_id) DO UPDATE SET life = excluded.life, expires_at = excluded.expires_at)
  SELECT id FROM gone`;

const REMOVE_WAITING = removing(`state IN ('waiting', 'delayed')`);
const REMOVE_FINISHED = removing('state = $6 AND finished_at_ms = $7');

type Options = { database: PgliteDatabase; skipRecordTtlMs: number; now?: () => number };

/** BullMQ's own table of jobs. */
export const createEmbeddedJobs = ({
  database: { query },
  skipRecordTtlMs,
  now = Date.now,
}: Options): JobStore => {
  // The dedupe record exists already, since admission.
  const toldOf = (id: string, told?: SkipRecord) => [
    told?.record.signalId ?? id,
    told === undefined ? null : JSON.stringify(told.record),
    now() + Math.max(skipRecordTtlMs, told === undefined ? 0 : msLeft(told.dedupe.until, now())),
  ];

  return {
    every: async function* (name) {
      const { rows } = await query<{ id: string; text: string }>(
        'SELECT id, data::text AS text FROM bullmq.job WHERE queue = $1',
        [name],
      );
      yield* rows;
    },

    swap: async (name, { id, text }, data) => {
      const { rowCount } = await query(
        `UPDATE bullmq.job SET data = $3::jsonb
         WHERE queue = $1 AND id = $2 AND data = $4::jsonb`,
        [name, id, JSON.stringify(data), text],
      );
      return rowCount === 1;
    },

    removeFinished: async (name, state, { jobId, finishedAt }, told) => {
      const record = toldOf(jobId, told);
      const { rows } = await query(REMOVE_FINISHED, [name, jobId, ...record, state, finishedAt]);
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

    removeWaiting: async (name, jobId, told) => {
      const { rows } = await query(REMOVE_WAITING, [name, jobId, ...toldOf(jobId, told)]);
      return rows.length === 1;
    },
  };
};
