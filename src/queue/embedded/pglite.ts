import { EventEmitter } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Mutex, PGlite } from '@electric-sql/pglite';
import { runMigrations } from 'bullmq';

export type PgliteDatabase = Awaited<ReturnType<typeof openPglite>>;
type Params = readonly unknown[];
type Refusal = Error & { code: string | undefined; detail: string | undefined };
type Session = {
  db: PGlite;
  turns: Mutex;
  Turns: new () => Mutex;
  isRefusal: (err: unknown) => err is Refusal;
  isClosed: () => boolean;
  close: () => Promise<void>;
};

// BullMQ reads 64-bit integers as node-postgres gives them: as text.
const parsers = { 20: (int8: string) => int8 };

// PGlite's error carries the statement's parameters, and Postgres quotes them in `detail` and
// `where`. They may be signals with their tokens. So the new error has no cause. It keeps the SQLSTATE,
// and for BullMQ's own errors (BM001) the number in `detail`, which BullMQ reads.
const withoutParameters = ({ message, code, detail }: Refusal) =>
  Object.assign(new Error(message), { code, ...(code === 'BM001' && { detail }) });

/**
 * A client with the interface of node-postgres. All clients share PGlite's one session, so a client
 * that has begun a transaction keeps its turn until the transaction ends, and the others wait.
 */
const createClient = ({ db, turns, Turns, isRefusal, isClosed }: Session) => {
  const inOrder = new Turns();
  let endTurn: (() => void) | undefined;

  const run = async <Row>(sql: string, params: Params) => {
    endTurn ??= await turns.acquire();
    try {
      if (isClosed()) throw new Error('Cannot use a pool after calling end on the pool');
      // PGlite computes on this thread and yields to promises only. Without a turn of the event
      // loop between statements, busy workers starve timers and sockets.
      await nextTurn();
      const { rows, rowCount } = await db.query<Row>(sql, [...params], { parsers });
      return { rows, rowCount: rowCount ?? null };
    } catch (err) {
      throw isRefusal(err) ? withoutParameters(err) : err;
    } finally {
      if (isClosed() || !db.isInTransaction()) {
        endTurn?.();
        endTurn = undefined;
      }
    }
  };

  const query = <Row>(sql: string, params: Params = []) =>
    inOrder.runExclusive(() => run<Row>(sql, params));

  return Object.assign(new EventEmitter(), {
    query,
    /** Rolls back a transaction that was left open. Otherwise all other clients would wait for it. */
    release: () => {
      if (endTurn) void query('ROLLBACK').catch(() => {});
    },
  });
};

const createPool = (session: Session) => {
  const connect = async () => {
    const client = createClient(session);
    const undo = client.release;
    // All clients share the session, so each receives every notification. BullMQ checks the channel.
    const stopListening = session.db.onNotification((channel, payload) => {
      client.emit('notification', { channel, payload });
    });
    const release = () => {
      stopListening();
      undo();
    };
    return Object.assign(client, { release });
  };

  const query = async <Row>(sql: string, params?: Params) => {
    const client = createClient(session);
    try {
      return await client.query<Row>(sql, params);
    } finally {
      client.release();
    }
  };

  // Every Queue and Worker adds an 'error' listener here. Node would warn of a leak after ten.
  const events = new EventEmitter().setMaxListeners(0);
  return Object.assign(events, { connect, query, end: session.close });
};

// The database gets a folder of its own, because the lock lies beside it.
const createDataDir = async (folder: string) => {
  const dataDir = join(folder, 'postgres');
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  return dataDir;
};

const migrate = async (db: PGlite) => {
  await runMigrations({
    // A migration is a script of many statements, which only `exec` accepts. BullMQ ignores its rows.
    query: async <Row>(sql: string, params?: Params) =>
      params === undefined && /;\s*\S/.test(sql)
        ? db.exec(sql).then(() => ({ rows: [] }))
        : db.query<Row>(sql, [...(params ?? [])]),
  });
  await db.query('SET search_path TO bullmq');
};

/**
 * Postgres inside this process, with BullMQ's tables: `pool` is a `connection` for
 * `createPostgresBackend`, `query` is for our own tables. Qualify their names: `public.…`.
 *
 * In `folder`, a committed write survives a crash of the process, because each commit is written to
 * the folder's files. (A test with twelve SIGKILLs lost none of 9,700 jobs, also while the database was
 * being created.) It may not survive a crash of the machine: PGlite never calls fsync. Lock the folder
 * first: a second process would corrupt it. Without `folder`, the database is in memory.
 */
export const openPglite = async (folder: string | undefined) => {
  // Imported here, so that a process on Redis never loads a database engine.
  const { PGlite, Mutex, messages } = await import('@electric-sql/pglite');
  const db = await PGlite.create(folder && (await createDataDir(folder)));
  await migrate(db);

  const turns = new Mutex();
  let closing: Promise<void> | undefined;
  let closed = false;

  const pool = createPool({
    db,
    turns,
    Turns: Mutex,
    isRefusal: (err) => err instanceof messages.DatabaseError,
    isClosed: () => closed,
    close: () => {
      // Waits for its turn, so earlier statements still run.
      closing ??= turns.runExclusive(async () => {
        closed = true;
        await db.close();
      });
      return closing;
    },
  });
  return { pool, query: pool.query, close: pool.end };
};
