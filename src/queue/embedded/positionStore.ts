import type { PositionStore } from '../backend.ts';
import type { PgliteDatabase } from './pglite.ts';

const TABLE =
  'CREATE TABLE IF NOT EXISTS public.positions (position_id text PRIMARY KEY, text text NOT NULL)';

/** Positions beside BullMQ's tables, in the same embedded database. */
export const openEmbeddedPositionStore = async ({
  query,
}: Pick<PgliteDatabase, 'query'>): Promise<PositionStore> => {
  await query(TABLE);

  return {
    read: async (positionId) => {
      const { rows } = await query<{ text: string }>(
        'SELECT text FROM public.positions WHERE position_id = $1',
        [positionId],
      );
      return rows[0]?.text;
    },
    write: async (positionId, text) => {
      await query(
        `INSERT INTO public.positions VALUES ($1, $2)
         ON CONFLICT (position_id) DO UPDATE SET text = excluded.text`,
        [positionId, text],
      );
    },
    remove: async (positionId) => {
      await query('DELETE FROM public.positions WHERE position_id = $1', [positionId]);
    },
  };
};
