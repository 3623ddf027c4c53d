import type { TokenStore } from '../backend.ts';
import type { PgliteDatabase } from './pglite.ts';

const TABLES = [
  `CREATE TABLE IF NOT EXISTS public.seek_tokens (
     application_id text PRIMARY KEY, text text NOT NULL, received_at bigint, until bigint NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS public.token_owners (
     fingerprint text PRIMARY KEY, application_id text NOT NULL, until bigint NOT NULL)`,
];

/** Seek tokens beside BullMQ's tables, in the same embedded database. */
export const openEmbeddedTokens = async (
  { query }: Pick<PgliteDatabase, 'query'>,
  now: () => number = Date.now,
): Promise<TokenStore> => {
  for (const table of TABLES) await query(table);
  await query('DELETE FROM public.seek_tokens WHERE until <= $1', [now()]);
  await query('DELETE FROM public.token_owners WHERE until <= $1', [now()]);

  return {
    read: async (applicationId) => {
      const { rows } = await query<{ text: string }>(
        'SELECT text FROM public.seek_tokens WHERE application_id = $1 AND until > $2',
        [applicationId, now()],
      );
      return rows[0]?.text;
    },

    replace: async (applicationId, before, { text, receivedAt, until }) => {
      const { rowCount } = await query(
        `INSERT INTO public.seek_tokens VALUES ($1, $2, $3, coalesce($4::bigint, 0))
         ON CONFLICT (application_id) DO UPDATE SET text = $2, received_at = $3,
           until = coalesce($4, public.seek_tokens.until)
         WHERE public.seek_tokens.text = $5 OR public.seek_tokens.until <= $6`,
        [applicationId, text, receivedAt ?? null, until ?? null, before ?? null, now()],
      );
      return rowCount === 1;
    },

    takeOwnership: async (fingerprint, applicationId, until) => {
      const { rows } = await query<{ application_id: string }>(
        `INSERT INTO public.token_owners VALUES ($1, $2, $3)
         ON CONFLICT (fingerprint) DO UPDATE SET
           application_id = CASE WHEN public.token_owners.until <= $4
             THEN excluded.application_id ELSE public.token_owners.application_id END,
           until = greatest(public.token_owners.until, excluded.until)
         RETURNING application_id`,
        [fingerprint, applicationId, until, now()],
      );
      const owner = rows[0]?.application_id;
      return owner === applicationId ? undefined : owner;
    },

    releaseOwnership: async (fingerprints, applicationId) => {
      await query(
        'DELETE FROM public.token_owners WHERE fingerprint = ANY($1) AND application_id = $2',
        [fingerprints, applicationId],
      );
      const { rows } = await query<{ fingerprint: string }>(
        'SELECT fingerprint FROM public.token_owners WHERE fingerprint = ANY($1) AND until > $2',
        [fingerprints, now()],
      );
      return rows.map(({ fingerprint }) => fingerprint);
    },

    applications: async function* () {
      const { rows } = await query<{ application_id: string }>(
        'SELECT application_id FROM public.seek_tokens WHERE until > $1',
        [now()],
      );
      for (const { application_id } of rows) yield application_id;
    },

    countReceivedBetween: async (from, to) => {
      const { rows } = await query<{ count: number }>(
        `SELECT count(*)::int AS count FROM public.seek_tokens
         WHERE received_at > $1 AND received_at <= $2`,
        [from, to],
      );
      return rows[0]?.count ?? 0;
    },

    receivedBetween: async (from, to, limit) => {
      const { rows } = await query<{ application_id: string }>(
        `SELECT application_id FROM public.seek_tokens
         WHERE received_at > $1 AND received_at <= $2 ORDER BY received_at LIMIT $3`,
        [from, to, limit],
      );
      return rows.map(({ application_id }) => application_id);
    },
  };
};
