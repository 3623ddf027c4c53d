import { groupByKey, keyNameOf, MAX_PER_SEARCH_KEY, type SearchIndex } from '../searchIndex.ts';
import type { PgliteDatabase } from './pglite.ts';

const TABLES = [
  `CREATE TABLE IF NOT EXISTS public.signal_traits (
     name text NOT NULL, signal_id text NOT NULL, noted_at bigint NOT NULL, PRIMARY KEY (name, signal_id))`,
  `CREATE TABLE IF NOT EXISTS public.signal_requests (
     request_id text NOT NULL, signal_id text NOT NULL, noted_at bigint NOT NULL,
     PRIMARY KEY (request_id, signal_id))`,
];

type Options = {
  database: Pick<PgliteDatabase, 'query'>;
  keepKeysMs: number;
  keepRequestsMs: number;
  now?: () => number;
};

/** Search keys beside BullMQ's tables, in the same database. Opening it removes expired entries. */
export const openEmbeddedIndex = async ({
  database: { query },
  keepKeysMs,
  keepRequestsMs,
  now = Date.now,
}: Options): Promise<SearchIndex> => {
  for (const table of TABLES) await query(table);
  await query('DELETE FROM public.signal_traits WHERE noted_at <= $1', [now() - keepKeysMs]);
  await query('DELETE FROM public.signal_requests WHERE noted_at <= $1', [now() - keepRequestsMs]);

  return {
    indexSignals: async (entries) => {
      for (const [name, signalIds] of groupByKey(entries)) {
        await query(
          `INSERT INTO public.signal_traits SELECT $1, unnest($2::text[]), $3
           ON CONFLICT (name, signal_id) DO UPDATE SET noted_at = $3`,
          [name, [...new Set(signalIds)], now()],
        );
      }
    },
    find: async (searchKey) => {
      const { rows } = await query<{ signal_id: string }>(
        `SELECT signal_id FROM public.signal_traits WHERE name = $1 AND noted_at > $2
         ORDER BY noted_at DESC, signal_id DESC LIMIT $3`,
        [keyNameOf(searchKey), now() - keepKeysMs, MAX_PER_SEARCH_KEY],
      );
      return rows.map((row) => row.signal_id);
    },
    removeKey: async (searchKey) => {
      await query('DELETE FROM public.signal_traits WHERE name = $1', [keyNameOf(searchKey)]);
    },

    // Only time bounds them: one developer sends few signals.
    indexRequests: async (requests) => {
      for (const { requestId, signalIds } of requests) {
        await query(
          `INSERT INTO public.signal_requests SELECT $1, unnest($2::text[]), $3
           ON CONFLICT DO NOTHING`,
          [requestId, signalIds, now()],
        );
      }
    },
    findByRequest: async (requestId) => {
      const { rows } = await query<{ signal_id: string }>(
        'SELECT signal_id FROM public.signal_requests WHERE request_id = $1 AND noted_at > $2',
        [requestId, now() - keepRequestsMs],
      );
      return rows.map((row) => row.signal_id);
    },
  };
};
