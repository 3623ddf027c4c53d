import { DEAD_LETTERS, SIGNALS } from '../backend.ts';
import { PENDING_MS } from '../dedupeWindow.ts';

/** Dedupe records, the unsent set, counts of outcomes and skip records. */
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

/**
 * Reserves the ids that have no job, dead letter or dedupe record, and returns what exists of each id. One
 * statement, so that it reads the records as they were before it. $1 the ids, $2 their content ids, $3
 * and $4 now.
 */
export const RESERVE = `
  WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[]) AS pairs (signal_id, content_id)),
  recorded AS (
    SELECT remembered.* FROM public.remembered JOIN given USING (signal_id)
    WHERE expires_at > $3),
  existing AS (
    SELECT signal_id, content_id,
      EXISTS (SELECT FROM bullmq.job WHERE queue = '${SIGNALS}' AND id = signal_id) AS queued,
      EXISTS (SELECT FROM bullmq.job WHERE queue = '${DEAD_LETTERS}' AND id = signal_id) AS dead
    FROM given),
  absent AS (SELECT * FROM existing WHERE NOT queued AND NOT dead),
  reserved AS (
    INSERT INTO public.remembered
    SELECT signal_id, content_id, false, $3 + ${PENDING_MS} FROM absent
    ON CONFLICT (signal_id) DO UPDATE
      SET content_id = excluded.content_id, accepted = false, expires_at = excluded.expires_at
      WHERE public.remembered.expires_at <= $3),
  unsent AS (
    INSERT INTO public.unsent
    SELECT signal_id, $4::bigint FROM absent
    WHERE NOT EXISTS (SELECT FROM recorded WHERE accepted AND recorded.signal_id = absent.signal_id)
    ON CONFLICT DO NOTHING)
  SELECT signal_id, recorded.content_id, accepted, queued, dead
  FROM existing LEFT JOIN recorded USING (signal_id)`;

/**
 * Turns reservations into dedupe records, and returns the ids that no other caller has confirmed. $1 the
 * ids, $2 their content ids, $3 the ends of their dedupe windows, $4 now.
 */
export const CONFIRM = `
  INSERT INTO public.remembered
  SELECT signal_id, content_id, true, expires_at
  FROM unnest($1::text[], $2::text[], $3::bigint[]) AS rows (signal_id, content_id, expires_at)
  ON CONFLICT (signal_id)
  DO UPDATE SET content_id = excluded.content_id, accepted = true, expires_at = excluded.expires_at
  WHERE NOT public.remembered.accepted OR public.remembered.expires_at <= $4
  RETURNING signal_id`;

/** $1 the id, $2 when its job finished, or NULL if it has no job. Returns the id if it was reopened. */
export const REOPEN = `
  WITH removed_job AS (
    DELETE FROM bullmq.job
    WHERE queue = '${SIGNALS}' AND id = $1 AND state = 'completed' AND finished_at_ms = $2::bigint
    RETURNING id),
  reopened AS (
    SELECT $1::text AS signal_id
    WHERE EXISTS (SELECT FROM removed_job) OR (
      $2::bigint IS NULL AND EXISTS (SELECT FROM public.skipped WHERE signal_id = $1)
      AND NOT EXISTS (SELECT FROM bullmq.job WHERE queue = '${SIGNALS}' AND id = $1))),
  removed_skip AS (DELETE FROM public.skipped WHERE signal_id IN (SELECT signal_id FROM reopened)),
  removed_dedupe AS (
    DELETE FROM public.remembered WHERE signal_id IN (SELECT signal_id FROM reopened))
  SELECT signal_id FROM reopened`;

/** $1 the id, $2 the signal record, $3 when it expires. */
export const SAVE_SKIP_RECORD = `
  INSERT INTO public.skipped VALUES ($1, $2::json, $3)
  ON CONFLICT (signal_id) DO UPDATE SET life = excluded.life, expires_at = excluded.expires_at`;

/** Adds outcomes to the counts of an hour: $1 the hour, $2 the outcomes. */
export const COUNT_OUTCOMES = `
  INSERT INTO public.settled
  SELECT $1, outcome, count(*) FROM unnest($2::text[]) AS outcomes (outcome) GROUP BY outcome
  ON CONFLICT (hour, outcome)
  DO UPDATE SET signals = public.settled.signals + excluded.signals`;
