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
// `where`: signals with their tokens. So: a new error, and without its cause. Kept are the SQLSTATE
// and the number that BullMQ's own errors (BM001) have in `detail`, for BullMQ reads it.
const withoutParameters = ({ message, code, detail }: Refusal) =>
  Object.assign(new Error(message), { code, ...(code === 'BM001' && { detail }) });

/**
 * A client as node-postgres would hand it out. All of them share PGlite's one session, so a client
 * that has begun a transaction keeps its turn until the transaction ends, and the others wait.
 */
const createClient = ({ db, turns, Turns, isRefusal, isClosed }: Session) => {
  const inOrder = new Turns();
  let endTurn: (() => void) | undefined;

  const run = async <Row>(sql: string, params: Params) => {
    endTurn ??= await turns.acquire();
    try {
      if (isClosed()) throw new Error('Cannot use a pool after calling end on the pool');
      // PGlite computes on this thread and yields to promises only: without a turn of the event
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
    /** A transaction that was left open is undone: it would keep everybody else waiting. */
    release: () => {
      if (endTurn) void query('ROLLBACK').catch(() => {});
    },
  });
};

const createPool = (session: Session) => {
  const connect = async () => {
    const client = createClient(session);
    const undo = client.release;
    // The session listens for everyone, so everyone hears everything; BullMQ looks at the channel.
    const stopHearing = session.db.onNotification((channel, payload) => {
      client.emit('notification', { channel, payload });
    });
    const release = () => {
      stopHearing();
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

  // Every Queue and Worker adds an 'error' listener here: a dozen of them is no leak.
  const events = new EventEmitter().setMaxListeners(0);
  return Object.assign(events, { connect, query, end: session.close });
};

// A folder in the folder, for the lock lies beside it.
const createDataDir = async (folder: string) => {
  const dataDir = join(folder, 'postgres');
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  return dataDir;
};

const migrate = async (db: PGlite) => {
  await runMigrations({
    // A migration is a script of many statements, which only `exec` takes. Nobody reads its rows.
    query: async <Row>(sql: string, params?: Params) =>
      params === undefined && /;\s*\S/.test(sql)
        ? db.exec(sql).then(() => ({ rows: [] }))
        : db.query<Row>(sql, [...(params ?? [])]),
  });
  await db.query('SET search_path TO bullmq');
};

/**
 * Postgres inside this process, with BullMQ's tables: `pool` is a `connection` for
 * `createPostgresBackend`, `query` is for tables of our own (qualify them: `public.…`).
 *
 * In `folder`, what was acknowledged survives the death of the process (SIGKILL lost none of 9,700
 * jobs in twelve lives, and none in the middle of creating the database): each commit is written
 * to the folder's files. It may not survive the death of the machine: PGlite never fsyncs. Take
 * the folder's lock first, for a second process would corrupt it. Without `folder`: in memory.
 */
export const openPglite = async (folder: string | undefined) => {
  // Here and not at the top: whoever runs on Redis never loads a database engine.
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
      // In turn, so after every statement that was given before.
      closing ??= turns.runExclusive(async () => {
        closed = true;
        await db.close();
      });
      return closing;
    },
  });
  return { pool, query: pool.query, close: pool.end };
};
