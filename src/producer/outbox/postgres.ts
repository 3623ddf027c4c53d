import { Socket } from 'node:net';
import type { Client, Pool, PoolClient } from 'pg';

export type { PoolClient };

const CONNECT_WITHIN_MS = 5_000;
// A database that is frozen says nothing, and a relay that waited for it for ever would be no relay.
const ANSWER_WITHIN_MS = 30_000;
const APPLICATION = 'seek-signals';
// What a relay that is cut off has in its hands is free for others again after a minute. Said anew in each
// transaction, and not when connecting: PgBouncer lets nobody in who says it there. Rows that others have taken
// away are passed over at no higher level than this one, whatever the database's own is. Without a bitmap,
// PostgreSQL has the first rows from their index, and does not sort all of a table that it has never looked over.
const BEGIN = `BEGIN ISOLATION LEVEL READ COMMITTED;
  SET LOCAL idle_in_transaction_session_timeout = '60s'; SET LOCAL enable_bitmapscan = off`;

const options = (url: string) => ({
  connectionString: url,
  application_name: APPLICATION,
  connectionTimeoutMillis: CONNECT_WITHIN_MS,
  query_timeout: ANSWER_WITHIN_MS,
  keepAlive: true,
});

/** The ATS's database. Connects when it is asked for something, and again after a loss. */
export const openPostgres = async (url: string, max: number) => {
  // Loaded here and nowhere else: the library and the other commands never see it.
  const { default: pg } = await import('pg');
  const sockets = new Set<Socket>();
  const stream = (): Socket => {
    const socket = new Socket();
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
  const pool: Pool = new pg.Pool({ ...options(url), stream, max });
  // Of connections that nobody uses at the moment; who asks next gets another, or hears of it.
  pool.on('error', () => {});

  return {
    query: async <Row extends object>(text: string, values: unknown[] = []) => {
      const { rows } = await pool.query<Row>(text, values);
      return rows;
    },

    /**
     * Commits what `work` has done, unless it rejects. The connection is closed then: that undoes it, and
     * nobody has to find out what state it is in.
     */
    transaction: async <Result>(work: (client: PoolClient) => Promise<Result>): Promise<Result> => {
      const client = await pool.connect();
      // A connection that is lost while nothing is asked of it.
      const onError = () => {};
      client.on('error', onError);
      let isFailed = true;
      try {
        await client.query(BEGIN);
        const result = await work(client);
        await client.query('COMMIT');
        isFailed = false;
        return result;
      } finally {
        client.off('error', onError);
        client.release(isFailed);
      }
    },

    /** Calls back for each notification, for as long as the connection lasts; then `onLost`. */
    listen: async (channel: string, onNotified: () => void, onLost: () => void) => {
      const client: Client = new pg.Client({ ...options(url), stream });
      client.on('notification', onNotified);
      client.on('error', () => {});
      client.on('end', onLost);
      try {
        await client.connect();
        await client.query(`LISTEN ${channel}`);
      } catch (err) {
        // A standby lets in who may not listen there, and one that was frozen meanwhile goes on: by and by these
        // would be all its connections.
        client.end().catch(() => {});
        throw err;
      }
      return { close: () => client.end() };
    },

    /** Waits for nothing: what was not committed is undone, as if we had died. */
    letGo: (): void => {
      for (const socket of sockets) socket.destroy();
    },

    close: () => pool.end(),
  };
};

export type Postgres = Awaited<ReturnType<typeof openPostgres>>;
