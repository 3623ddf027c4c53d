import * as z from 'zod';

import type { SignalLife } from '../schemas/states.ts';
import { DEAD_LETTERS, type Ledger, SIGNALS } from './backend.ts';
import { hoursOfLastDay, PENDING_MS } from './ledgerTimes.ts';
import type { PgliteDatabase } from './pglitePool.ts';

const TABLES = [
  `CREATE TABLE IF NOT EXISTS public.remembered (
     signal_id text PRIMARY KEY, content_id text NOT NULL, accepted boolean NOT NULL,
     expires_at bigint NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS public.unsent (
     signal_id text PRIMARY KEY, accepted_at bigint NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS public.settled (
     hour bigint, outcome text, signals bigint NOT NULL, PRIMARY KEY (hour, outcome))`,
  `CREATE TABLE IF NOT EXISTS public.skipped (
     signal_id text PRIMARY KEY, life json NOT NULL, expires_at bigint NOT NULL)`,
];

// One statement is one step: it sees what was known before it, while it takes what was not.
const CLAIM = `
  WITH known AS (
    SELECT content_id, accepted FROM public.remembered WHERE signal_id = $1 AND expires_at > $3),
  standing AS (
    SELECT EXISTS (SELECT FROM bullmq.job WHERE queue = '${SIGNALS}' AND id = $1) AS queued,
           EXISTS (SELECT FROM bullmq.job WHERE queue = '${DEAD_LETTERS}' AND id = $1) AS buried),
  taken AS (
    INSERT INTO public.remembered SELECT $1, $2, false, $3 + ${PENDING_MS} FROM standing
    WHERE NOT queued AND NOT buried
    ON CONFLICT (signal_id) DO UPDATE
      SET content_id = $2, accepted = false, expires_at = $3 + ${PENDING_MS}
      WHERE public.remembered.expires_at <= $3),
  listed AS (
    INSERT INTO public.unsent SELECT $1, $3 FROM standing
    WHERE NOT queued AND NOT buried AND NOT EXISTS (SELECT FROM known WHERE accepted)
    ON CONFLICT DO NOTHING)
  SELECT content_id, accepted, queued, buried FROM standing LEFT JOIN known ON true`;

// Who turns the claim into an acceptance is the first; everybody after finds it accepted.
const CONFIRM = `
  INSERT INTO public.remembered VALUES ($1, $2, true, $3) ON CONFLICT (signal_id)
  DO UPDATE SET content_id = $2, accepted = true, expires_at = $3
  WHERE NOT public.remembered.accepted OR public.remembered.expires_at <= $4
  RETURNING signal_id`;

const ClaimRow = z.object({
  content_id: z.string().nullable(),
  accepted: z.boolean().nullable(),
  queued: z.boolean(),
  buried: z.boolean(),
});

type Options = {
  database: PgliteDatabase;
  rememberMs: number;
  keepDeliveredMs: number;
  now?: () => number;
};

/** The ledger beside BullMQ's tables, in the same embedded database. */
export const openEmbeddedLedger = async ({
  database: { query },
  rememberMs,
  keepDeliveredMs,
  now = Date.now,
}: Options): Promise<Ledger> => {
  for (const table of TABLES) await query(table);
  await query('DELETE FROM public.remembered WHERE expires_at <= $1', [now()]);
  await query('DELETE FROM public.skipped WHERE expires_at <= $1', [now()]);

  return {
    claim: (entries) =>
      Promise.all(
        entries.map(async ({ signalId, contentId }) => {
          const { rows } = await query(CLAIM, [signalId, contentId, now()]);
          const { content_id, accepted, queued, buried } = ClaimRow.parse(rows[0]);
          return content_id === null
            ? { queued, buried }
            : {
                remembered: { contentId: content_id, accepted: accepted === true },
                queued,
                buried,
              };
        }),
      ),

    recall: async (signalId) => {
      const { rows } = await query<{ content_id: string; accepted: boolean }>(
        'SELECT content_id, accepted FROM public.remembered WHERE signal_id = $1 AND expires_at > $2',
        [signalId, now()],
      );
      return rows[0] && { contentId: rows[0].content_id, accepted: rows[0].accepted };
    },

    confirm: async (entries) => {
      const first: boolean[] = [];
      for (const { signalId, contentId, acceptedAt } of entries) {
        const { rowCount } = await query(CONFIRM, [
          signalId,
          contentId,
          acceptedAt + rememberMs,
          now(),
        ]);
        first.push(rowCount === 1);
      }
      return first;
    },

    markUnsent: async ({ signalId, acceptedAt }) => {
      await query('INSERT INTO public.unsent VALUES ($1, $2) ON CONFLICT DO NOTHING', [
        signalId,
        acceptedAt,
      ]);
    },

    settle: async (entries) => {
      const [hour] = hoursOfLastDay(now());
      for (const { signalId, outcome } of entries) {
        await query('DELETE FROM public.unsent WHERE signal_id = $1', [signalId]);
        await query(
          `INSERT INTO public.settled VALUES ($1, $2, 1) ON CONFLICT (hour, outcome)
           DO UPDATE SET signals = public.settled.signals + 1`,
          [hour, outcome],
        );
      }
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

    keepSkipped: async (life) => {
      await query(
        `INSERT INTO public.skipped VALUES ($1, $2, $3) ON CONFLICT (signal_id)
         DO UPDATE SET life = $2, expires_at = $3`,
        [life.signalId, JSON.stringify(life), now() + Math.max(keepDeliveredMs, rememberMs)],
      );
    },

    dropSkipped: async (signalId) => {
      await query('DELETE FROM public.skipped WHERE signal_id = $1', [signalId]);
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
