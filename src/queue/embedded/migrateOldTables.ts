import type { Query } from './pglite.ts';

/** The tables of earlier versions, with their rows as rows of the store. Undefined: the rows are dropped. */
const OLD_TABLES: Record<string, string | undefined> = {
  remembered: `'dedupeRecords', signal_id,
    json_build_object('contentId', content_id, 'accepted', accepted)::text, '-infinity', expires_at`,
  unsent: `'unsent', signal_id, 'true', accepted_at, 'infinity'`,
  skipped: `'skippedSignals', signal_id, life::text, '-infinity', expires_at`,
  seek_tokens: `'seekTokens', application_id, to_json(text)::text,
    coalesce(received_at, '-infinity'::float8), until`,
  token_owners: `'tokenOwners', fingerprint, to_json(application_id)::text, '-infinity', until`,
  // Erasing an application's signals needs the search keys. Five days is their default lifetime.
  signal_traits: `'search:' || name, signal_id, 'true', noted_at, noted_at + 432000000`,
  signal_requests: undefined,
  settled: undefined,
  workerStats: undefined,
};

const FIND_TABLES = `
  SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename = ANY($1)`;

/** Moves the rows into the store and drops the tables, so that an erased token does not come back. */
export const migrateOldTables = async (query: Query): Promise<void> => {
  const { rows } = await query<{ tablename: string }>(FIND_TABLES, [Object.keys(OLD_TABLES)]);
  for (const { tablename } of rows) {
    const columns = OLD_TABLES[tablename];
    if (columns !== undefined) {
      await query(`INSERT INTO seek_signals.store SELECT ${columns} FROM public.${tablename}`);
    }
    await query(`DROP TABLE public.${tablename}`);
  }
};
