import { singleFlight } from '../../runtime/async.ts';
import type { Backend } from '../backend.ts';
import type { PgliteDatabase } from './pglite.ts';

const TABLE =
  'CREATE TABLE IF NOT EXISTS public.health (id integer PRIMARY KEY, checked_at timestamptz NOT NULL)';
const WRITE = `INSERT INTO public.health VALUES (1, now())
  ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at`;

/** The questions of health checks. Each has one statement on its way at most. */
export const openHealthProbes = async ({
  query,
}: Pick<PgliteDatabase, 'query'>): Promise<Pick<Backend, 'ping' | 'checkRead' | 'checkWrite'>> => {
  await query(TABLE);
  const ask = (sql: string) =>
    singleFlight(async () => {
      await query(sql);
    });
  const read = ask('SELECT 1 FROM public.health');
  return { ping: read, checkRead: read, checkWrite: ask(WRITE) };
};
