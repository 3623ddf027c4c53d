import * as z from 'zod';

import type { SignalLife } from '../schemas/states.ts';
import type { Claim, Ledger } from './backend.ts';
import { CLAIM, CONFIRM, COUNT, KEEP_SKIPPED, REOPEN, TABLES } from './embeddedLedgerSql.ts';
import { hoursOfLastDay, PENDING_MS } from './ledgerTimes.ts';
import type { PgliteDatabase } from './pglitePool.ts';

const IdRow = z.object({ signal_id: z.string() });
const ClaimRow = IdRow.extend({
  content_id: z.string().nullable(),
  accepted: z.boolean().nullable(),
  queued: z.boolean(),
  buried: z.boolean(),
});

const toClaim = ({ content_id, accepted, queued, buried }: z.infer<typeof ClaimRow>): Claim =>
  content_id === null
    ? { queued, buried }
    : { remembered: { contentId: content_id, accepted: accepted === true }, queued, buried };

type Options = {
  database: PgliteDatabase;
  rememberMs: number;
  now?: () => number;
};

/** The ledger beside BullMQ's tables, in the same embedded database. */
export const openEmbeddedLedger = async ({
  database: { query },
  rememberMs,
  now = Date.now,
}: Options): Promise<Ledger> => {
  for (const table of TABLES) await query(table);
  await query('DELETE FROM public.remembered WHERE expires_at <= $1', [now()]);
  await query('DELETE FROM public.skipped WHERE expires_at <= $1', [now()]);

  return {
    claim: async (entries, acceptedAt) => {
      const ids = entries.map(({ signalId }) => signalId);
      const contents = entries.map(({ contentId }) => contentId);
      const { rows } = await query(CLAIM, [ids, contents, now(), acceptedAt]);
      const claims = new Map(
        z
          .array(ClaimRow)
          .parse(rows)
          .map((row) => [row.signal_id, toClaim(row)]),
      );
      return ids.map((id) => claims.get(id) ?? { queued: false, buried: false });
    },

    recall: async (signalId) => {
      const { rows } = await query<{ content_id: string; accepted: boolean }>(
        'SELECT content_id, accepted FROM public.remembered WHERE signal_id = $1 AND expires_at > $2',
        [signalId, now()],
      );
      return rows[0] && { contentId: rows[0].content_id, accepted: rows[0].accepted };
    },

    confirm: async (entries) => {
      const { rows } = await query(CONFIRM, [
        entries.map(({ signalId }) => signalId),
        entries.map(({ contentId }) => contentId),
        entries.map(({ acceptedAt }) => acceptedAt + rememberMs),
        now(),
      ]);
      await query(
        `UPDATE public.skipped SET expires_at = remembered.expires_at FROM public.remembered
         WHERE remembered.signal_id = skipped.signal_id AND skipped.signal_id = ANY($1)`,
        [entries.map(({ signalId }) => signalId)],
      );
      const firsts = new Set(
        z
          .array(IdRow)
          .parse(rows)
          .map((row) => row.signal_id),
      );
      return entries.map(({ signalId }) => firsts.has(signalId));
    },

    markUnsent: async ({ signalId, acceptedAt }) => {
      await query('INSERT INTO public.unsent VALUES ($1, $2) ON CONFLICT DO NOTHING', [
        signalId,
        acceptedAt,
      ]);
    },

    settle: async (entries) => {
      if (entries.length === 0) return;
      const [hour] = hoursOfLastDay(now());
      await query('DELETE FROM public.unsent WHERE signal_id = ANY($1)', [
        entries.map(({ signalId }) => signalId),
      ]);
      await query(COUNT, [hour, entries.map(({ outcome }) => outcome)]);
      await query('DELETE FROM public.skipped WHERE signal_id = ANY($1)', [
        entries.filter(({ outcome }) => outcome !== 'skipped').map(({ signalId }) => signalId),
      ]);
    },

    strike: async (signalIds) => {
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

    settledLately: async () => {
      const { rows } = await query<{ outcome: string; signals: string }>(
        'SELECT outcome, sum(signals)::text AS signals FROM public.settled WHERE hour >= $1 GROUP BY 1',
        [hoursOfLastDay(now()).at(-1)],
      );
      const of = (outcome: string) =>
        Number(rows.find((row) => row.outcome === outcome)?.signals ?? 0);
      return { delivered: of('delivered'), skipped: of('skipped') };
    },

    reopen: async ({ signalId, contentId, acceptedAt }, finishedAt) => {
      const pendingUntil = now() + PENDING_MS;
      const values = [signalId, contentId, pendingUntil, acceptedAt, finishedAt ?? null];
      return (await query(REOPEN, values)).rows.length === 1;
    },

    keepSkipped: async (life) => {
      await query(KEEP_SKIPPED, [life.signalId, JSON.stringify(life), now() + PENDING_MS]);
    },

    findSkipped: async (signalId) => {
      const { rows } = await query<{ life: SignalLife }>(
        'SELECT life FROM public.skipped WHERE signal_id = $1 AND expires_at > $2',
        [signalId, now()],
      );
      return rows[0]?.life;
    },
  };
};
