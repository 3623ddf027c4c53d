import type { SignalRecord } from '../../schemas/signalRecord.ts';
import { migrateOldTables } from './migrateOldTables.ts';
import type { PgliteDatabase, Query } from './pglite.ts';

/** All that the table holds. `score` orders entries, where their order matters. */
type Spaces = {
  /** By signal id. Not accepted: the id is reserved until its job is added. */
  dedupeRecords: { contentId: string; accepted: boolean };
  /** By signal id. Score: when the signal was accepted. */
  unsent: true;
  /** By signal id. */
  skippedSignals: SignalRecord;
  /** By hour and outcome, as `494000:delivered`. */
  outcomeCounts: number;
  /** By the beginning of the bucket: each count by its name. */
  workerStats: Record<string, number>;
  /** By application id. Score: when its newest token was received. */
  seekTokens: string;
  /** Application ids by the fingerprint of their token. */
  tokenOwners: string;
  /** By signal id, in a space for each search key. Score: when it was indexed. */
  [searchKey: `search:${string}`]: true;
  /** By signal id, in a space for each request to SEEK. */
  [requestId: `request:${string}`]: true;
};
type Space = keyof Spaces;

type Entry<Value> = {
  key: string;
  value: Value;
  /** -Infinity if absent. */
  score?: number | undefined;
  /** Infinity if absent. */
  expiresAt?: number | undefined;
};

type Range = { above?: number; upTo?: number; limit?: number; order?: 'ASC' | 'DESC' };

export type KeyValueStore = Awaited<ReturnType<typeof openKeyValueStore>>;

const CREATE_TABLE = [
  'CREATE SCHEMA IF NOT EXISTS seek_signals',
  `CREATE TABLE IF NOT EXISTS seek_signals.store (
     space text, key text, value text NOT NULL, score float8 NOT NULL, expires_at float8 NOT NULL,
     PRIMARY KEY (space, key))`,
];

// JSON lies in a text: the types json and jsonb refuse the character U+0000, which SEEK may send.
const PUT = `
  INSERT INTO seek_signals.store AS stored
  SELECT DISTINCT ON (key) $1, key, value, coalesce(score, '-infinity'), coalesce("expiresAt", 'infinity')
  FROM json_to_recordset($2::json) AS given (key text, value text, score float8, "expiresAt" float8)
  ON CONFLICT (space, key) DO UPDATE
  SET value = excluded.value, score = excluded.score, expires_at = excluded.expires_at`;
const PUT_IF_ABSENT = `${PUT} WHERE stored.expires_at <= $3`;

/** Statements on the table. An expired entry counts as absent. */
const createStatements = (query: Query, now: () => number) => {
  const toRows = (entries: readonly Entry<unknown>[]) =>
    JSON.stringify(entries.map((entry) => ({ ...entry, value: JSON.stringify(entry.value) })));

  const get = async <S extends Space>(space: S, keys: readonly string[]) => {
    const { rows } = await query<{ key: string; value: string; expiresAt: number }>(
      `SELECT key, value, expires_at AS "expiresAt" FROM seek_signals.store
       WHERE space = $1 AND key = ANY($2) AND expires_at > $3`,
      [space, keys, now()],
    );
    return new Map(
      rows.map(({ key, value, expiresAt }) => {
        const parsed: Spaces[S] = JSON.parse(value);
        return [key, { value: parsed, expiresAt }];
      }),
    );
  };

  return {
    /** For BullMQ's own tables. */
    query,

    get,

    find: async <S extends Space>(space: S, key: string) => (await get(space, [key])).get(key),

    put: async <S extends Space>(space: S, entries: readonly Entry<Spaces[S]>[]) => {
      await query(PUT, [space, toRows(entries)]);
    },

    putIfAbsent: async <S extends Space>(space: S, entries: readonly Entry<Spaces[S]>[]) => {
      await query(PUT_IF_ABSENT, [space, toRows(entries), now()]);
    },

    delete: async (space: Space, keys: readonly string[]) => {
      await query('DELETE FROM seek_signals.store WHERE space = $1 AND key = ANY($2)', [
        space,
        keys,
      ]);
    },

    deleteSpace: async (space: Space) => {
      await query('DELETE FROM seek_signals.store WHERE space = $1', [space]);
    },

    /** Keys by their score: all, or those above and up to a bound. */
    list: async (space: Space, { above, upTo, limit, order = 'ASC' }: Range = {}) => {
      const { rows } = await query<{ key: string; score: number }>(
        `SELECT key, score FROM seek_signals.store
         WHERE space = $1 AND expires_at > $2
           AND ($3::float8 IS NULL OR score > $3) AND score <= coalesce($4::float8, 'infinity')
         ORDER BY score ${order}, key ${order} LIMIT $5`,
        [space, now(), above ?? null, upTo ?? null, limit ?? null],
      );
      return rows;
    },
  };
};

/** One table for all that BullMQ does not keep, in the same embedded database. */
export const openKeyValueStore = async (database: PgliteDatabase, now: () => number = Date.now) => {
  for (const statement of CREATE_TABLE) await database.query(statement);
  await database.transaction(migrateOldTables);
  await database.query('DELETE FROM seek_signals.store WHERE expires_at <= $1', [now()]);

  return {
    ...createStatements(database.query, now),
    /** All of it is written, or nothing. Anything else that uses the database waits until it ends. */
    transaction: <T>(run: (tx: ReturnType<typeof createStatements>) => Promise<T>): Promise<T> =>
      database.transaction((query) => run(createStatements(query, now))),
  };
};
