import type { SignalRecord } from '../../schemas/signalRecord.ts';
import type { Bookkeeping } from '../backend.ts';
import { hoursOfLastDay, PENDING_MS } from '../dedupeWindow.ts';
import { COUNT_OUTCOMES, REOPEN, SAVE_SKIP_RECORD, TABLES } from './bookkeepingSql.ts';
import type { PgliteDatabase } from './pglite.ts';

type Options = { database: PgliteDatabase; now?: () => number };

/** Tables beside BullMQ's own. Opening them removes expired records. */
export const openEmbeddedBookkeeping = async ({
  database: { query },
  now = Date.now,
}: Options): Promise<Bookkeeping> => {
  for (const table of TABLES) await query(table);
  await query('DELETE FROM public.remembered WHERE expires_at <= $1', [now()]);
  await query('DELETE FROM public.skipped WHERE expires_at <= $1', [now()]);

  return {
    findDedupeRecord: async (signalId) => {
      const { rows } = await query<{ content_id: string }>(
        `SELECT content_id FROM public.remembered
         WHERE signal_id = $1 AND accepted AND expires_at > $2`,
        [signalId, now()],
      );
      return rows[0]?.content_id;
    },

    markUnsent: async ({ signalId, acceptedAt }) => {
      await query('INSERT INTO public.unsent VALUES ($1, $2) ON CONFLICT DO NOTHING', [
        signalId,
        acceptedAt,
      ]);
    },

    recordOutcomes: async (entries) => {
      if (entries.length === 0) return;
      const [hour] = hoursOfLastDay(now());
      await query('DELETE FROM public.unsent WHERE signal_id = ANY($1)', [
        entries.map(({ signalId }) => signalId),
      ]);
      await query(COUNT_OUTCOMES, [hour, entries.map(({ outcome }) => outcome)]);
      // The record of a dead signal stays: an operator may have discarded its dead letter since.
      await query('DELETE FROM public.skipped WHERE signal_id = ANY($1)', [
        entries.filter(({ outcome }) => outcome === 'delivered').map(({ signalId }) => signalId),
      ]);
    },

    removeUnsent: async (signalIds) => {
      await query('DELETE FROM public.unsent WHERE signal_id = ANY($1)', [signalIds]);
    },

    oldestUnsent: async (limit) => {
      const { rows } = await query<{ signal_id: string; accepted_at: string }>(
        'SELECT signal_id, accepted_at FROM public.unsent ORDER BY accepted_at LIMIT $1',
        [limit],
      );
      return rows.map((row) => ({
        signalId: row.signal_id,
        acceptedAt: Number(row.accepted_at),
      }));
    },

    countRecentOutcomes: async () => {
      const { rows } = await query<{ outcome: string; signals: string }>(
        'SELECT outcome, sum(signals)::text AS signals FROM public.settled WHERE hour >= $1 GROUP BY 1',
        [hoursOfLastDay(now()).at(-1)],
      );
      const count = (outcome: string) =>
        Number(rows.find((row) => row.outcome === outcome)?.signals ?? 0);
      return { delivered: count('delivered'), skipped: count('skipped') };
    },

    reopen: async (signalId, finishedAt) =>
      (await query(REOPEN, [signalId, finishedAt ?? null])).rows.length === 1,

    saveSkipRecord: async (record, until) => {
      const expiresAt = Math.max(until, now() + PENDING_MS);
      await query(SAVE_SKIP_RECORD, [record.signalId, JSON.stringify(record), expiresAt]);
    },

    findSkipRecord: async (signalId) => {
      const { rows } = await query<{ record: SignalRecord }>(
        'SELECT life AS record FROM public.skipped WHERE signal_id = $1 AND expires_at > $2',
        [signalId, now()],
      );
      return rows[0]?.record;
    },
  };
};
