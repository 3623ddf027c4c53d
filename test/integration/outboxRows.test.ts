import { relayAll } from '../../src/producer/outbox/relay.ts';
import {
  createOutboxStore,
  type LockedRow,
  type RowResult,
} from '../../src/producer/outbox/rows.ts';
import { SELECT_PENDING } from '../../src/producer/outbox/selectRows.ts';
import { waitFor } from '../support/waitFor.ts';
import { complete, useOutbox } from './outboxUnderTest.ts';

const outbox = useOutbox();

describe('the rows of the outbox', () => {
  it('transaction of a relay → idle_in_transaction_session_timeout of one minute', async () => {
    const { database } = await outbox.setup();

    const idle = database.transaction((client) =>
      client.query('SHOW idle_in_transaction_session_timeout'),
    );

    expect((await idle).rows).toEqual([{ idle_in_transaction_session_timeout: '1min' }]);
  });

  it('large rows → moved in batches of at most 8 MiB; a row over 1 MiB → rejected', async () => {
    const { store, enqueue, waiting } = await outbox.setup();
    await outbox.insertLarge(20);
    await outbox.insertLarge(2, 1_100_000);
    await outbox.query(
      `INSERT INTO seek_signals.outbox (signal, sender, idempotency_key)
       VALUES ($1, repeat('x', 1100000), NULL), ($1, 'outbox', repeat('x', 1100000))`,
      [complete()],
    );
    const batches: number[] = [];
    const relay = async (locked: LockedRow[]): Promise<RowResult[]> => {
      batches.push(locked.length);
      return relayAll(enqueue, locked, undefined);
    };

    while (await store.move(500, relay));

    expect(batches).toEqual([8, 8, 4]);
    expect(await waiting()).toBe(20);
    expect((await outbox.rows()).map(({ reason }) => reason)).toEqual(
      Array.from({ length: 4 }, () => 'The signal is over 1 MiB'),
    );
  });

  it('rows beyond the batch → not decompressed', async () => {
    const { database } = await outbox.setup();
    await outbox.query('ALTER TABLE seek_signals.outbox ALTER COLUMN signal SET STORAGE EXTERNAL');
    await outbox.insertLarge(60);
    const blocksRead = async (limit: number): Promise<number> => {
      const { rows: plans } = await database.transaction((client) =>
        client.query(
          `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${SELECT_PENDING.replace('$1', String(limit))}`,
        ),
      );
      const { 'Shared Hit Blocks': hit, 'Shared Read Blocks': read } =
        plans[0]['QUERY PLAN'][0].Plan;
      return hit + read;
    };

    expect(await blocksRead(60)).toBeLessThan(2 * (await blocksRead(8)));
  });

  it('table without statistics → pending rows are read from their index', async () => {
    const { database } = await outbox.setup();
    await outbox.query('ALTER TABLE seek_signals.outbox SET (autovacuum_enabled = off)');
    await outbox.query(
      `INSERT INTO seek_signals.outbox (signal)
       SELECT jsonb_build_object('typeCode', 'ApplicationComplete', 'token', 'token-' || n)
       FROM generate_series(1, 20000) AS numbers (n)`,
    );

    const { rows: plan } = await database.transaction((client) =>
      client.query(`EXPLAIN ${SELECT_PENDING.replace('$1', '500')}`),
    );

    expect(JSON.stringify(plan)).toContain('Index Scan using outbox_pending');
  });

  it('database with another default isolation → transactions are READ COMMITTED', async () => {
    await outbox.query(`ALTER ROLE ats SET default_transaction_isolation = 'serializable'`);
    outbox.closing.push(() => outbox.query('ALTER ROLE ats RESET default_transaction_isolation'));
    const { database } = await outbox.setup();

    const level = database.transaction((client) => client.query('SHOW transaction_isolation'));

    expect((await level).rows).toEqual([{ transaction_isolation: 'read committed' }]);
  });

  it('read → counts pending rows and the age of the oldest one', async () => {
    const { store } = await outbox.setup();
    await outbox.query(
      `INSERT INTO seek_signals.outbox (signal, created_at) VALUES
       ('{}', now() - interval '90 seconds'), ('{}', now())`,
    );

    const { lagSeconds, ...counts } = await store.read();

    expect(counts).toEqual({ pending: 2, rejected: 0 });
    expect(lagSeconds).toBeGreaterThanOrEqual(90);
    expect(lagSeconds).toBeLessThan(150);
  });
});

describe('recheck', () => {
  it('large rows → read in pages of at most 8 MiB', async () => {
    const { database } = await outbox.setup();
    await outbox.insertLarge(20);
    await outbox.query(`UPDATE seek_signals.outbox SET state = 'queued', signal_id = id::text`);
    const store = createOutboxStore(database, true);
    const pages: number[] = [];

    let after: string | undefined = '0';
    while (after !== undefined) {
      after = await store.recheck(after, 500, async (taken) => {
        pages.push(taken.length);
        return [];
      });
    }

    expect(pages).toEqual([8, 8, 4, 0]);
  });

  it('row locked by another process → waits for it instead of skipping it', async () => {
    const { database } = await outbox.setup();
    const store = createOutboxStore(database, true);
    await outbox.query(
      `INSERT INTO seek_signals.outbox (signal, state, signal_id)
       VALUES ($1, 'queued', 'one'), ($1, 'queued', 'two')`,
      [complete()],
    );
    const other = await outbox.servers().ats.connect();
    await other.query('BEGIN');
    await other.query(`SELECT FROM seek_signals.outbox WHERE signal_id = 'one' FOR UPDATE`);

    const seen: string[] = [];
    let isDone = false;
    const rechecking = store
      .recheck('0', 10, async (taken) => {
        seen.push(...taken.map(({ signalId }) => signalId));
        return [];
      })
      .finally(() => {
        isDone = true;
      });
    await waitFor(async () => {
      const { rows: waiting } = await outbox.query('SELECT FROM pg_locks WHERE NOT granted');
      return isDone || waiting.length > 0;
    });
    await other.query('ROLLBACK');
    other.release();
    await rechecking;

    expect(seen).toEqual(['one', 'two']);
  });
});
