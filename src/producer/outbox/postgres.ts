import { Socket } from 'node:net';
import type { Client, Pool, PoolClient } from 'pg';

export type { PoolClient };

const CONNECT_TIMEOUT_MS = 5_000;
// Without it, a frozen database would block a relay forever.
const QUERY_TIMEOUT_MS = 30_000;
const APPLICATION_NAME = 'seek-signals';
// The settings of every transaction. They are not startup parameters, because PgBouncer rejects those.
// - READ COMMITTED, whatever the default of the database: SKIP LOCKED fails at a higher level when another
//   relay has deleted a row.
// - idle_in_transaction_session_timeout: PostgreSQL releases the rows of a disconnected relay after a minute.
// - No bitmap scans: on a table without statistics, PostgreSQL would sort all rows to find the first ones.
const BEGIN = `BEGIN ISOLATION LEVEL READ COMMITTED;
  SET LOCAL idle_in_transaction_session_timeout = '60s'; SET LOCAL enable_bitmapscan = off`;

const options = (url: string) => ({
  connectionString: url,
  application_name: APPLICATION_NAME,
  connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  query_timeout: QUERY_TIMEOUT_MS,
  keepAlive: true,
});

/** Opens the ATS's database. Connects on the first query, and again after a loss. */
export const openPostgres = async (url: string, max: number) => {
  // A dynamic import, so that the library and the other commands do not load `pg`.
  const { default: pg } = await import('pg');
  const sockets = new Set<Socket>();
  const stream = (): Socket => {
    const socket = new Socket();
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
  const pool: Pool = new pg.Pool({ ...options(url), stream, max });
  // Errors of idle connections. Without a handler they would end the process; the next query reconnects.
  pool.on('error', () => {});

  return {
    query: async <Row extends object>(text: string, values: unknown[] = []) => {
      const { rows } = await pool.query<Row>(text, values);
      return rows;
    },

    /**
     * Runs `work` in a transaction and commits it. If anything rejects, it closes the connection, which rolls
     * the transaction back whatever state the connection is in.
     */
    transaction: async <Result>(work: (client: PoolClient) => Promise<Result>): Promise<Result> => {
      const client = await pool.connect();
      // A loss of the connection between two queries. Without a handler it would end the process.
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

    /** Calls `onNotified` for each notification on the channel, and `onLost` when the connection ends. */
    listen: async (channel: string, onNotified: () => void, onLost: () => void) => {
      const client: Client = new pg.Client({ ...options(url), stream });
      client.on('notification', onNotified);
      client.on('error', () => {});
      client.on('end', onLost);
      try {
        await client.connect();
        await client.query(`LISTEN ${channel}`);
      } catch (err) {
        // A standby accepts the connection and rejects LISTEN. Connections left open by repeated tries
        // would use up the connections of the database.
        client.end().catch(() => {});
        throw err;
      }
      return { close: () => client.end() };
    },

    /** Closes all connections at once. PostgreSQL rolls back what was not committed, as after a crash. */
    destroy: (): void => {
      for (const socket of sockets) socket.destroy();
    },

    close: () => pool.end(),
  };
};

export type Postgres = Awaited<ReturnType<typeof openPostgres>>;
