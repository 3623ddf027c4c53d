import type { Query } from './pglite.ts';

/** Tables of earlier versions, and what becomes of their rows. Without a query, they are dropped. */
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
  history: undefined,
};

/** Moves the rows into the store and drops the tables, so that an erased token does not come back. */
export const migrateOldTables = async (query: Query): Promise<void> => {
  for (const [table, columns] of Object.entries(OLD_TABLES)) {
    const { rows } = await query('SELECT WHERE to_regclass($1) IS NOT NULL', [`public.${table}`]);
    if (rows.length > 0 && columns !== undefined) {
      await query(`INSERT INTO seek_signals.store SELECT ${columns} FROM public.${table}`);
    }
    await query(`DROP TABLE IF EXISTS public.${table}`);
  }
};
