import type { PgliteDatabase } from './embedded/pglite.ts';
import { groupIds, MOST_OF_A_TRAIT, nameOf, type SignalIndex } from './signalIndex.ts';

const TABLES = [
  `CREATE TABLE IF NOT EXISTS public.signal_traits (
     name text NOT NULL, signal_id text NOT NULL, noted_at bigint NOT NULL, PRIMARY KEY (name, signal_id))`,
  `CREATE TABLE IF NOT EXISTS public.signal_requests (
     request_id text NOT NULL, signal_id text NOT NULL, noted_at bigint NOT NULL,
     PRIMARY KEY (request_id, signal_id))`,
];

type Options = {
  database: Pick<PgliteDatabase, 'query'>;
  keepTraitsMs: number;
  keepRequestsMs: number;
  now?: () => number;
};

/** Beside BullMQ's tables, in the same embedded database. What is too old goes when it is opened. */
export const openEmbeddedIndex = async ({
  database: { query },
  keepTraitsMs,
  keepRequestsMs,
  now = Date.now,
}: Options): Promise<SignalIndex> => {
  for (const table of TABLES) await query(table);
  await query('DELETE FROM public.signal_traits WHERE noted_at <= $1', [now() - keepTraitsMs]);
  await query('DELETE FROM public.signal_requests WHERE noted_at <= $1', [now() - keepRequestsMs]);

  return {
    note: async (entries) => {
      for (const [name, signalIds] of groupIds(entries)) {
        await query(
          `INSERT INTO public.signal_traits SELECT $1, unnest($2::text[]), $3
           ON CONFLICT (name, signal_id) DO UPDATE SET noted_at = $3`,
          [name, [...new Set(signalIds)], now()],
        );
      }
    },
    find: async (trait) => {
      const { rows } = await query<{ signal_id: string }>(
        `SELECT signal_id FROM public.signal_traits WHERE name = $1 AND noted_at > $2
         ORDER BY noted_at DESC, signal_id DESC LIMIT $3`,
        [nameOf(trait), now() - keepTraitsMs, MOST_OF_A_TRAIT],
      );
      return rows.map((row) => row.signal_id);
    },
    forget: async (trait) => {
      await query('DELETE FROM public.signal_traits WHERE name = $1', [nameOf(trait)]);
    },

    // For one developer's signals: their time bounds them, however many there are.
    noteRequests: async (requests) => {
      for (const { requestId, signalIds } of requests) {
        await query(
          `INSERT INTO public.signal_requests SELECT $1, unnest($2::text[]), $3
           ON CONFLICT DO NOTHING`,
          [requestId, signalIds, now()],
        );
      }
    },
    findRequest: async (requestId) => {
      const { rows } = await query<{ signal_id: string }>(
        'SELECT signal_id FROM public.signal_requests WHERE request_id = $1 AND noted_at > $2',
        [requestId, now() - keepRequestsMs],
      );
      return rows.map((row) => row.signal_id);
    },
  };
};
