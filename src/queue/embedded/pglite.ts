import { EventEmitter } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextEventLoopTurn } from 'node:timers/promises';
import type { Mutex, PGlite } from '@electric-sql/pglite';
import { runMigrations } from 'bullmq';

export type PgliteDatabase = Awaited<ReturnType<typeof openPglite>>;
type Params = readonly unknown[];
type DatabaseError = Error & { code: string | undefined; detail: string | undefined };
type Session = {
  db: PGlite;
  /** Held by the client whose statement or transaction runs. */
  lock: Mutex;
  createLock: () => Mutex;
  isDatabaseError: (err: unknown) => err is DatabaseError;
  isClosed: () => boolean;
  close: () => Promise<void>;
};

// BullMQ reads 64-bit integers as node-postgres gives them: as text.
const parsers = { 20: (int8: string) => int8 };

// PGlite's error carries the statement's parameters, and Postgres quotes them in `detail` and
// `where`. They may be signals with their tokens. So the new error has no cause. It keeps the SQLSTATE,
// and for BullMQ's own errors (BM001) the number in `detail`, which BullMQ reads.
const withoutParameters = ({ message, code, detail }: DatabaseError) =>
  Object.assign(new Error(message), { code, ...(code === 'BM001' && { detail }) });

/**
 * A client with the interface of node-postgres. All clients share PGlite's one session, so a client
 * that has begun a transaction holds the session's lock until the transaction ends, and the others wait.
 */
const createClient = ({ db, lock, createLock, isDatabaseError, isClosed }: Session) => {
  // Runs the statements of this client in order.
  const statements = createLock();
  let releaseLock: (() => void) | undefined;

  const run = async <Row>(sql: string, params: Params) => {
    releaseLock ??= await lock.acquire();
    try {
      if (isClosed()) throw new Error('Cannot use a pool after calling end on the pool');
      // PGlite computes on this thread and yields to promises only. Without this wait for the event
      // loop between statements, busy workers starve timers and sockets.
      await nextEventLoopTurn();
      const { rows, rowCount } = await db.query<Row>(sql, [...params], { parsers });
      return { rows, rowCount: rowCount ?? null };
    } catch (err) {
      throw isDatabaseError(err) ? withoutParameters(err) : err;
    } finally {
      if (isClosed() || !db.isInTransaction()) {
        releaseLock?.();
        releaseLock = undefined;
      }
    }
  };

  const query = <Row>(sql: string, params: Params = []) =>
    statements.runExclusive(() => run<Row>(sql, params));

  return Object.assign(new EventEmitter(), {
    query,
    /** Rolls back a transaction that was left open. Otherwise all other clients would wait for it. */
    release: () => {
      if (releaseLock) void query('ROLLBACK').catch(() => {});
    },
  });
};

const createPool = (session: Session) => {
  const connect = async () => {
    const client = createClient(session);
    const rollBack = client.release;
    // All clients share the session, so each receives every notification. BullMQ checks the channel.
    const stopListening = session.db.onNotification((channel, payload) => {
      client.emit('notification', { channel, payload });
    });
    const release = () => {
      stopListening();
      rollBack();
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

  const lock = new Mutex();
  let closing: Promise<void> | undefined;
  let closed = false;

  const pool = createPool({
    db,
    lock,
    createLock: () => new Mutex(),
    isDatabaseError: (err) => err instanceof messages.DatabaseError,
    isClosed: () => closed,
    close: () => {
      // Waits for the lock, so earlier statements still run.
      closing ??= lock.runExclusive(async () => {
        closed = true;
        await db.close();
      });
      return closing;
    },
  });
  return { pool, query: pool.query, close: pool.end };
};
