import pg from 'pg';

import { compose } from '../../src/cli/compose.ts';
import { openRedisBackend } from '../../src/cli/processes/service.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createOutbox } from '../../src/producer/outbox/createOutbox.ts';
import { MIGRATIONS, migrate, printMigrations } from '../../src/producer/outbox/migrations.ts';
import { listenForRows } from '../../src/producer/outbox/notifications.ts';
import { createOutcomeRows } from '../../src/producer/outbox/outcomeRows.ts';
import { openPostgres } from '../../src/producer/outbox/postgres.ts';
import { createRelay, relayAll } from '../../src/producer/outbox/relay.ts';
import {
  createOutboxStore,
  type Relayed,
  TAKE,
  type Taken,
} from '../../src/producer/outbox/rows.ts';
import { SIGNALS } from '../../src/queue/backend.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { type PostgresServer, startPostgres } from '../support/postgresServer.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';
import { newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

const FOREVER_MS = 3_600_000;

let postgres: PostgresServer;
let redis: RedisServer;
let ats: pg.Pool;
let queues = 0;
const closing: (() => Promise<unknown>)[] = [];

const connectAts = () => {
  const pool = new pg.Pool({ connectionString: postgres.url });
  pool.on('error', () => {});
  return pool;
};

beforeAll(async () => {
  [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  ats = connectAts();
});
beforeEach(async () => {
  queues += 1;
  await ats.query('DROP SCHEMA IF EXISTS seek_signals CASCADE');
  await inTransaction((client) => migrate(client));
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});
afterAll(async () => {
  await ats.end();
  await Promise.all([postgres.stop(), redis.stop()]);
});

const inTransaction = async <Result>(
  work: (client: pg.PoolClient) => Promise<Result>,
  end: 'COMMIT' | 'ROLLBACK' = 'COMMIT',
): Promise<Result> => {
  const client = await ats.connect();
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query(end);
    return result;
  } finally {
    client.release();
  }
};

/** A relay's surroundings, on a queue of the test's own. */
const setup = async () => {
  const logs = captureLogs();
  const env = { REDIS_URL: redis.url, QUEUE_PREFIX: `{outbox-${queues}}` };
  const config = { ...loadConfig(env), REDIS_URL: redis.url };
  const backend = openRedisBackend(config, 'fail-fast', logs.logger);
  closing.push(backend.close);
  const database = await openPostgres(postgres.url, 4);
  closing.push(database.close);
  const store = createOutboxStore(database);
  const enqueue = await compose(config, backend, logs.logger).openEnqueue();
  const counts = { relayed: 0, rejected: 0 };
  const metrics = {
    relayed: {
      inc: (by: number) => {
        counts.relayed += by;
      },
    },
    outboxRejected: {
      inc: () => {
        counts.rejected += 1;
      },
    },
  };
  const signals = await backend.queue(SIGNALS);

  return {
    ...{ logs, backend, database, store, enqueue, counts, signals },
    startRelay: (pollMs?: number) => {
      const relay = createRelay({
        ...{ store, enqueue, logger: logs.logger, metrics },
        ...(pollMs === undefined ? {} : { pollMs }),
      });
      closing.push(relay.close);
      return relay;
    },
    waiting: async () => (await signals.getJobCounts('waiting')).waiting,
  };
};

const complete = (token = newToken()) => ({ typeCode: 'ApplicationComplete' as const, token });

const rows = async (columns = 'state, reason') =>
  (await ats.query(`SELECT ${columns} FROM seek_signals.outbox ORDER BY id`)).rows;

const insertLarge = (count: number, length = 1_000_000) =>
  ats.query(
    `INSERT INTO seek_signals.outbox (signal)
     SELECT jsonb_build_object('typeCode', 'ApplicationComplete', 'token', n || '-' || repeat('x', $2))
     FROM generate_series(1, $1::int) AS numbers (n)`,
    [count, length],
  );

const isEmpty = async () => (await rows()).length === 0;

describe('the outbox', () => {
  const outbox = createOutbox();

  it('sends what was committed, and never what was rolled back', async () => {
    const { startRelay, signals, waiting } = await setup();
    const signal = complete();

    const { signalId } = await inTransaction((client) => outbox.enqueue(client, signal));
    await inTransaction((client) => outbox.enqueue(client, complete()), 'ROLLBACK');
    startRelay();

    await waitFor(isEmpty);
    expect((await signals.getJob(signalId))?.data).toMatchObject({
      signal,
      acceptedFrom: 'outbox',
    });
    expect(await waiting()).toBe(1);
  });

  it('refuses what SEEK would refuse, and leaves the transaction as it was', async () => {
    const { store } = await setup();
    const invalid = complete(' not a token ');

    await inTransaction(async (client) => {
      await expect(outbox.enqueue(client, invalid)).rejects.toMatchObject({
        name: 'InvalidSignalError',
        invalidFields: { '/token': expect.any(String) },
      });
      await outbox.enqueue(client, complete());
    });

    expect(await store.read()).toMatchObject({ pending: 1, rejected: 0 });
  });

  it('takes rows that others have written by hand, and keeps what is wrong with them', async () => {
    const { startRelay, waiting, counts, logs } = await setup();
    const token = newToken();
    await ats.query(
      `INSERT INTO seek_signals.outbox (signal) VALUES ($1), ('{"typeCode":"Nothing"}'), ('[]')`,
      [JSON.stringify(complete(token))],
    );

    startRelay();
    await waitFor(async () => (await rows()).every(({ state }) => state === 'rejected'));

    expect(await rows()).toEqual([
      { state: 'rejected', reason: expect.stringContaining('/typeCode') },
      { state: 'rejected', reason: expect.stringContaining('Expected an object') },
    ]);
    expect(await waiting()).toBe(1);
    expect(counts).toEqual({ relayed: 1, rejected: 2 });
    expect(logs.text()).not.toContain(token);
  });

  it('knows the same signal again, and the same key', async () => {
    const { startRelay, waiting, signals } = await setup();
    const signal = complete();
    const other = complete();
    const idempotencyKey = newToken();
    const { signalId } = outbox.statement(signal, { idempotencyKey });
    await inTransaction(async (client) => {
      for (let time = 0; time < 3; time += 1) {
        await outbox.enqueue(client, signal);
        await outbox.enqueue(client, signal, { idempotencyKey });
      }
    });
    startRelay();
    await waitFor(isEmpty);

    await inTransaction((client) => outbox.enqueue(client, other, { idempotencyKey }));
    await waitFor(async () => (await rows()).some(({ state }) => state === 'rejected'));

    expect(await waiting()).toBe(2);
    expect((await signals.getJob(signalId))?.data).toMatchObject({ signal });
    expect((await rows())[0]?.reason).toContain('Idempotency-Key');
  });

  it('hears of a row as soon as it is committed', async () => {
    const { startRelay, database, waiting } = await setup();
    const relay = startRelay(FOREVER_MS);
    let heard = 0;
    const onNotified = () => {
      heard += 1;
      relay.wake();
    };
    const ears = listenForRows({ listen: database.listen, onNotified });
    closing.push(ears.close);
    // Once for all that was there before.
    await waitFor(() => heard === 1);

    const signal = complete();
    await inTransaction((client) => outbox.enqueue(client, signal));

    await waitFor(async () => (await waiting()) === 1);
  });

  it('leaves no connection where it could not listen', async () => {
    const { database } = await setup();
    const connected = async () => {
      const { rows: sessions } = await ats.query(
        `SELECT FROM pg_stat_activity WHERE application_name = 'seek-signals'`,
      );
      return sessions.length;
    };

    const listening = database.listen(
      'no such name',
      () => {},
      () => {},
    );

    await expect(listening).rejects.toThrow('syntax');
    await waitFor(async () => (await connected()) === 0);
  });

  it('is shared by relays side by side: each row is moved once', async () => {
    const { startRelay, waiting, counts } = await setup();
    await ats.query(
      `INSERT INTO seek_signals.outbox (signal)
       SELECT jsonb_build_object('typeCode', 'ApplicationComplete', 'token', 'token-' || n)
       FROM generate_series(1, 5000) AS numbers (n)`,
    );

    for (let relay = 0; relay < 3; relay += 1) startRelay();
    await waitFor(isEmpty);

    expect(await waiting()).toBe(5_000);
    expect(counts).toEqual({ relayed: 5_000, rejected: 0 });
  });

  it('has the row again where a relay dies after the queue has it, and doubles nothing', async () => {
    const { startRelay, store, enqueue, waiting } = await setup();
    const signal = complete();
    await inTransaction((client) => outbox.enqueue(client, signal));

    const dying = store.move(10, async (taken) => {
      await enqueue(
        taken.map((row) => row.signal),
        { from: 'outbox' },
      );
      throw new Error('killed');
    });

    await expect(dying).rejects.toThrow('killed');
    expect(await waiting()).toBe(1);
    expect(await rows()).toEqual([{ state: 'pending', reason: null }]);
    startRelay();
    await waitFor(isEmpty);
    expect(await waiting()).toBe(1);
  });

  it('keeps its rows while Redis is away, and while PostgreSQL is', async () => {
    const { startRelay, waiting, logs } = await setup();
    startRelay();
    await redis.kill();
    const send = () => inTransaction((client) => outbox.enqueue(client, complete()));
    await send();
    await waitFor(() => logs.text().includes('Outbox not moved'));
    expect(await rows()).toEqual([{ state: 'pending', reason: null }]);

    await redis.restart();
    await waitFor(isEmpty);
    await postgres.restart();
    await waitFor(() =>
      send().then(
        () => true,
        () => false,
      ),
    );

    await waitFor(isEmpty);
    expect(await waiting()).toBe(2);
  });

  it('has PostgreSQL end a transaction of a relay that is cut off', async () => {
    const { database } = await setup();

    const idle = database.transaction((client) =>
      client.query('SHOW idle_in_transaction_session_timeout'),
    );

    expect((await idle).rows).toEqual([{ idle_in_transaction_session_timeout: '1min' }]);
  });

  it('needs nobody to tell it of a row: its trigger may be switched off', async () => {
    const { startRelay, waiting } = await setup();
    await ats.query('ALTER TABLE seek_signals.outbox DISABLE TRIGGER wake_relay');
    startRelay(10);

    await inTransaction((client) => outbox.enqueue(client, complete()));

    await waitFor(async () => (await waiting()) === 1);
  });

  it('has no more in hand than it can carry, and rejects what is too large', async () => {
    const { store, enqueue, waiting } = await setup();
    await insertLarge(20);
    await insertLarge(2, 1_100_000);
    await ats.query(
      `INSERT INTO seek_signals.outbox (signal, sender, idempotency_key)
       VALUES ($1, repeat('x', 1100000), NULL), ($1, 'outbox', repeat('x', 1100000))`,
      [complete()],
    );
    const batches: number[] = [];
    const relay = async (taken: Taken[]): Promise<Relayed[]> => {
      batches.push(taken.length);
      return relayAll(enqueue, taken, undefined);
    };

    while (await store.move(500, relay));

    expect(batches).toEqual([8, 8, 4]);
    expect(await waiting()).toBe(20);
    expect((await rows()).map(({ reason }) => reason)).toEqual(
      Array.from({ length: 4 }, () => 'The signal is over 1 MiB'),
    );
  });

  it('goes on with large rows without a rest, as with small ones', async () => {
    const { startRelay, waiting } = await setup();
    await insertLarge(30);

    startRelay(FOREVER_MS);

    await waitFor(async () => (await waiting()) === 30);
  });

  it('does not unpack large rows that it can not carry yet', async () => {
    const { database } = await setup();
    await ats.query('ALTER TABLE seek_signals.outbox ALTER COLUMN signal SET STORAGE EXTERNAL');
    await insertLarge(60);
    const blocksRead = async (limit: number): Promise<number> => {
      const { rows: told } = await database.transaction((client) =>
        client.query(
          `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${TAKE.replace('$1', String(limit))}`,
        ),
      );
      const { 'Shared Hit Blocks': hit, 'Shared Read Blocks': read } =
        told[0]['QUERY PLAN'][0].Plan;
      return hit + read;
    };

    expect(await blocksRead(60)).toBeLessThan(2 * (await blocksRead(8)));
  });

  it('has the first rows from their index, of a table that was never looked over', async () => {
    const { database } = await setup();
    await ats.query('ALTER TABLE seek_signals.outbox SET (autovacuum_enabled = off)');
    await ats.query(
      `INSERT INTO seek_signals.outbox (signal)
       SELECT jsonb_build_object('typeCode', 'ApplicationComplete', 'token', 'token-' || n)
       FROM generate_series(1, 20000) AS numbers (n)`,
    );

    const { rows: plan } = await database.transaction((client) =>
      client.query(`EXPLAIN ${TAKE.replace('$1', '500')}`),
    );

    expect(JSON.stringify(plan)).toContain('Index Scan using outbox_pending');
  });

  it('passes over what another has moved, whatever isolation the database is set to', async () => {
    await ats.query(`ALTER ROLE ats SET default_transaction_isolation = 'serializable'`);
    closing.push(() => ats.query('ALTER ROLE ats RESET default_transaction_isolation'));
    const { database } = await setup();

    const level = database.transaction((client) => client.query('SHOW transaction_isolation'));

    expect((await level).rows).toEqual([{ transaction_isolation: 'read committed' }]);
  });

  it('tells how far behind it is', async () => {
    const { store } = await setup();
    await ats.query(
      `INSERT INTO seek_signals.outbox (signal, created_at) VALUES
       ('{}', now() - interval '90 seconds'), ('{}', now())`,
    );

    const { lagSeconds, ...counts } = await store.read();

    expect(counts).toEqual({ pending: 2, rejected: 0 });
    expect(lagSeconds).toBeGreaterThanOrEqual(90);
    expect(lagSeconds).toBeLessThan(150);
  });
});

describe('the outbox as a ledger', () => {
  /** Rows of one signal, as the relay keeps them. */
  const keep = async (states: ('delivered' | 'skipped' | 'dead' | 'waiting')[]) => {
    const { database } = await setup();
    for (const _ of states) {
      await ats.query('INSERT INTO seek_signals.outbox (signal) VALUES ($1)', [complete()]);
    }
    await createOutboxStore(database, true).move(10, async (taken) =>
      taken.map(({ id }, index) => ({
        ...{ kind: 'queued', id, signalId: `signal-${index}` },
        state: states[index] ?? 'waiting',
      })),
    );
    return createOutcomeRows(database);
  };

  it('keeps no token of a signal that was sent before its row was moved', async () => {
    await keep(['delivered', 'skipped', 'dead', 'waiting']);

    expect(await rows(`state, signal ? 'token' AS "hasToken"`)).toEqual([
      { state: 'delivered', hasToken: false },
      { state: 'skipped', hasToken: false },
      { state: 'dead', hasToken: true },
      { state: 'queued', hasToken: true },
    ]);
  });

  it('takes words that PostgreSQL can not keep', async () => {
    const outcomeRows = await keep(['waiting']);

    await outcomeRows.writeBack([
      { signalId: 'signal-0', outcome: 'skipped', at: 1, reason: 'no\u0000use' },
    ]);

    expect(await rows()).toEqual([{ state: 'skipped', reason: 'no?use' }]);
  });

  it('takes delivered for the last word on a signal that was skipped at first', async () => {
    const outcomeRows = await keep(['waiting']);
    const signalId = 'signal-0';

    await outcomeRows.writeBack([
      { signalId, outcome: 'skipped', at: 1, reason: 'no-token' },
      { signalId, outcome: 'delivered', at: 2 },
    ]);

    expect(await rows()).toEqual([{ state: 'delivered', reason: null }]);
  });
});

describe('a database of an older encoding', () => {
  it('is told what became of a signal, whatever SEEK says of it', async () => {
    await ats.query(
      `CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
    );
    const database = await openPostgres(postgres.url.replace(/postgres$/, 'latin'), 1);
    closing.push(database.close);
    await database.transaction(migrate);
    await database.query(
      `INSERT INTO seek_signals.outbox (signal, state, signal_id)
       VALUES ('{}', 'queued', 'one'), ('{}', 'queued', 'two')`,
    );

    await createOutcomeRows(database).writeBack([
      { signalId: 'one', outcome: 'delivered', at: 1 },
      { signalId: 'two', outcome: 'dead', at: 1, reason: 'FORBIDDEN: Nicht für ’x’' },
    ]);

    expect(
      await database.query('SELECT state, reason FROM seek_signals.outbox ORDER BY id'),
    ).toEqual([
      { state: 'delivered', reason: null },
      { state: 'dead', reason: 'FORBIDDEN: Nicht f?r ?x?' },
    ]);
  });
});

describe('a reconciliation', () => {
  it('has no more in hand than it can carry', async () => {
    const { database } = await setup();
    await insertLarge(20);
    await ats.query(`UPDATE seek_signals.outbox SET state = 'queued', signal_id = id::text`);
    const store = createOutboxStore(database, true);
    const pages: number[] = [];

    let after: string | undefined = '0';
    while (after !== undefined) {
      after = await store.reconsider(after, 500, async (taken) => {
        pages.push(taken.length);
        return [];
      });
    }

    expect(pages).toEqual([8, 8, 4, 0]);
  });

  it('waits for what another has in hand, who may die of it', async () => {
    const { database } = await setup();
    const store = createOutboxStore(database, true);
    await ats.query(
      `INSERT INTO seek_signals.outbox (signal, state, signal_id)
       VALUES ($1, 'queued', 'one'), ($1, 'queued', 'two')`,
      [complete()],
    );
    const other = await ats.connect();
    await other.query('BEGIN');
    await other.query(`SELECT FROM seek_signals.outbox WHERE signal_id = 'one' FOR UPDATE`);

    const seen: string[] = [];
    let isDone = false;
    const reconsidering = store
      .reconsider('0', 10, async (taken) => {
        seen.push(...taken.map(({ signalId }) => signalId));
        return [];
      })
      .finally(() => {
        isDone = true;
      });
    await waitFor(async () => {
      const { rows: waiting } = await ats.query('SELECT FROM pg_locks WHERE NOT granted');
      return isDone || waiting.length > 0;
    });
    await other.query('ROLLBACK');
    other.release();
    await reconsidering;

    expect(seen).toEqual(['one', 'two']);
  });
});

describe('the migrations of the outbox', () => {
  it('are taken once, whoever takes them', async () => {
    await ats.query('DROP SCHEMA seek_signals CASCADE');

    const taken = await Promise.all(
      [1, 2, 3].map(() => inTransaction((client) => migrate(client))),
    );

    expect(taken.toSorted()).toEqual([0, 0, MIGRATIONS.length]);
  });

  it('are printed as they are taken', async () => {
    await ats.query('DROP SCHEMA seek_signals CASCADE');

    await ats.query(printMigrations());

    expect(await inTransaction((client) => migrate(client))).toBe(0);
  });
});
