import type { JobStore, SkipRecord } from '../backend.ts';
import { msLeft } from '../dedupeWindow.ts';
import type { KeyValueStore } from './keyValueStore.ts';

const remove = (where: string) =>
  `DELETE FROM bullmq.job WHERE queue = $1 AND id = $2 AND ${where}`;
const REMOVE_WAITING = remove(`state IN ('waiting', 'delayed')`);
const REMOVE_FINISHED = remove('state = $3 AND finished_at_ms = $4');

type Deps = { store: KeyValueStore; skipRecordTtlMs: number; now?: () => number };

/** BullMQ's own table of jobs. */
export const createJobStore = ({ store, skipRecordTtlMs, now = Date.now }: Deps): JobStore => {
  // One transaction: a job that is gone without the record of its skip would be a lost signal.
  const removeJob = (
    sql: string,
    params: readonly unknown[],
    skipped?: SkipRecord,
  ): Promise<boolean> =>
    store.transaction(async (tx) => {
      const { rowCount } = await tx.query(sql, params);
      if (rowCount !== 1) return false;
      if (skipped !== undefined) {
        const { record, dedupe } = skipped;
        const keepMs = Math.max(skipRecordTtlMs, msLeft(dedupe.until, now()));
        const entry = { key: record.signalId, value: record, expiresAt: now() + keepMs };
        await tx.put('skippedSignals', [entry]);
      }
      return true;
    });

  return {
    every: async function* (name) {
      const { rows } = await store.query<{ id: string; text: string }>(
        'SELECT id, data::text AS text FROM bullmq.job WHERE queue = $1',
        [name],
      );
      yield* rows;
    },

    swap: async (name, { id, text }, data) => {
      const { rowCount } = await store.query(
        `UPDATE bullmq.job SET data = $3::jsonb
         WHERE queue = $1 AND id = $2 AND data = $4::jsonb`,
        [name, id, JSON.stringify(data), text],
      );
      return rowCount === 1;
    },

    removeFinished: (name, state, { jobId, finishedAt }, skipped) =>
      removeJob(REMOVE_FINISHED, [name, jobId, state, finishedAt], skipped),

    removeWaiting: (name, jobId, skipped) => removeJob(REMOVE_WAITING, [name, jobId], skipped),

    countDue: async (name) => {
      const { rows } = await store.query<{ due: number }>(
        `SELECT count(*)::int AS due FROM bullmq.job
         WHERE queue = $1 AND state = 'delayed' AND process_at_ms <= $2`,
        [name, now()],
      );
      return rows[0]?.due ?? 0;
    },
  };
};
