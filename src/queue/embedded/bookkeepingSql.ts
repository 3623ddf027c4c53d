import { DEAD_LETTERS, SIGNALS } from '../backend.ts';
import { PENDING_MS } from '../dedupeWindow.ts';

export const TABLES = [
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

// One statement: it reads the records as they were before it, and reserves the ids without one.
export const CLAIM = `
  WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[]) AS pairs (signal_id, content_id)),
  known AS (
    SELECT remembered.* FROM public.remembered JOIN given USING (signal_id)
    WHERE expires_at > $3),
  standing AS (
    SELECT signal_id, content_id,
      EXISTS (SELECT FROM bullmq.job WHERE queue = '${SIGNALS}' AND id = signal_id) AS queued,
      EXISTS (SELECT FROM bullmq.job WHERE queue = '${DEAD_LETTERS}' AND id = signal_id) AS dead
    FROM given),
  absent AS (SELECT * FROM standing WHERE NOT queued AND NOT dead),
  taken AS (
    INSERT INTO public.remembered
    SELECT signal_id, content_id, false, $3 + ${PENDING_MS} FROM absent
    ON CONFLICT (signal_id) DO UPDATE
      SET content_id = excluded.content_id, accepted = false, expires_at = excluded.expires_at
      WHERE public.remembered.expires_at <= $3),
  listed AS (
    INSERT INTO public.unsent
    SELECT signal_id, $4::bigint FROM absent
    WHERE NOT EXISTS (SELECT FROM known WHERE accepted AND known.signal_id = absent.signal_id)
    ON CONFLICT DO NOTHING)
  SELECT signal_id, known.content_id, accepted, queued, dead
  FROM standing LEFT JOIN known USING (signal_id)`;

// Returns the ids that no other caller has confirmed.
export const CONFIRM = `
  INSERT INTO public.remembered
  SELECT signal_id, content_id, true, expires_at
  FROM unnest($1::text[], $2::text[], $3::bigint[]) AS rows (signal_id, content_id, expires_at)
  ON CONFLICT (signal_id)
  DO UPDATE SET content_id = excluded.content_id, accepted = true, expires_at = excluded.expires_at
  WHERE NOT public.remembered.accepted OR public.remembered.expires_at <= $4
  RETURNING signal_id`;

/** $1 the id, $2 when its job finished, if there is one. */
export const REOPEN = `
  WITH cleared AS (
    DELETE FROM bullmq.job
    WHERE queue = '${SIGNALS}' AND id = $1 AND state = 'completed' AND finished_at_ms = $2::bigint
    RETURNING id),
  opened AS (
    SELECT $1::text AS signal_id
    WHERE EXISTS (SELECT FROM cleared) OR (
      $2::bigint IS NULL AND EXISTS (SELECT FROM public.skipped WHERE signal_id = $1)
      AND NOT EXISTS (SELECT FROM bullmq.job WHERE queue = '${SIGNALS}' AND id = $1))),
  unsaid AS (DELETE FROM public.skipped WHERE signal_id IN (SELECT signal_id FROM opened)),
  forgotten AS (DELETE FROM public.remembered WHERE signal_id IN (SELECT signal_id FROM opened))
  SELECT signal_id FROM opened`;

/** $1 the id, $2 the signal record, $3 when it expires. */
export const SAVE_SKIP_RECORD = `
  INSERT INTO public.skipped VALUES ($1, $2::json, $3)
  ON CONFLICT (signal_id) DO UPDATE SET life = excluded.life, expires_at = excluded.expires_at`;

/** Counts outcomes in their hour: $1 the hour, $2 the outcomes. */
export const COUNT = `
  INSERT INTO public.settled
  SELECT $1, outcome, count(*) FROM unnest($2::text[]) AS outcomes (outcome) GROUP BY outcome
  ON CONFLICT (hour, outcome)
  DO UPDATE SET signals = public.settled.signals + excluded.signals`;
