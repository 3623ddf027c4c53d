import type { PoolClient } from 'pg';

import { createOutbox } from '../../src/producer/outbox/createOutbox.ts';
import { MIGRATIONS, migrate } from '../../src/producer/outbox/migrations.ts';
import { listenForRows } from '../../src/producer/outbox/notifications.ts';
import { recordAll } from '../../src/producer/outbox/records.ts';
import { relayAll } from '../../src/producer/outbox/relay.ts';
import { createOutboxStore, type OutboxStore } from '../../src/producer/outbox/rows.ts';
import {
  SELECT_FIRST_RECORD,
  SELECT_PENDING,
  SELECT_RECORDS,
} from '../../src/producer/outbox/selectRows.ts';
import { newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';
import { complete, NO_POLLING_MS, useOutbox } from './outboxUnderTest.ts';

const outbox = useOutbox();
const writer = createOutbox();

const named = (applicationId: string) => ({
  typeCode: 'ApplicationComplete' as const,
  applicationId,
});

const apply = async (client: PoolClient, applicationId: string, token = newToken()) => {
  await writer.recordSeekToken(client, { applicationId, token, source: 'linkOut' });
  return writer.enqueue(client, named(applicationId));
};

describe('records of the outbox', () => {
  /** One pass without a relay's loops, so that a test decides what happens between its steps. */
  const steps = async () => {
    const subject = await outbox.setup();
    const { store, enqueue, recordMany } = subject;
    const recordWith = (moving: Pick<OutboxStore, 'moveRecords'>) =>
      moving.moveRecords(50, async (rows) => (await recordAll(recordMany, rows)).results);
    return {
      ...subject,
      moveRecords: () => recordWith(store),
      recordWith,
      moveSignals: () => store.move(500, (rows) => relayAll(enqueue, rows, undefined)),
    };
  };

  it('committed → recorded before the signal is enqueued; rolled back → neither', async () => {
    const { startRelay, signals, seekTokens, enqueue } = await outbox.setup();
    const token = newToken();
    const known: unknown[] = [];
    await outbox.inTransaction((client) => apply(client, 'rolled back'), 'ROLLBACK');
    const { signalId } = await outbox.inTransaction((client) => apply(client, 'one', token));

    startRelay(undefined, async (...given) => {
      known.push((await seekTokens.lookup('one')).token);
      return enqueue(...given);
    });

    await waitFor(outbox.isEmpty);
    expect(known).toEqual([expect.objectContaining({ token, source: 'linkOut' })]);
    expect((await signals.getJob(signalId))?.data).toMatchObject({ signal: named('one') });
    expect(await seekTokens.lookup('rolled back')).toEqual({ erased: false });
  });

  it('signal written before its record in the transaction → moved after it', async () => {
    const { moveRecords, moveSignals, waiting, seekTokens } = await steps();
    const token = newToken();
    await outbox.inTransaction(async (client) => {
      await writer.enqueue(client, named('one'));
      await writer.recordSeekToken(client, { applicationId: 'one', token, source: 'linkOut' });
    });

    await moveSignals();
    expect(await waiting()).toBe(0);
    expect(await moveRecords()).toBe(true);
    await moveSignals();

    expect(await waiting()).toBe(1);
    expect((await seekTokens.lookup('one')).token).toMatchObject({ token });
    expect(await outbox.isEmpty()).toBe(true);
  });

  it('another relay holds the record → its signal waits, and other signals do not', async () => {
    const { store, moveRecords, moveSignals, waiting, recordMany } = await steps();
    await outbox.inTransaction((client) => apply(client, 'one'));
    await outbox.inTransaction((client) => writer.enqueue(client, complete()));
    await store.moveRecords(50, async (rows) => {
      expect(await moveRecords()).toBe(false);
      await moveSignals();
      expect(await waiting()).toBe(1);
      expect(await outbox.rows('state')).toEqual([{ state: 'pending' }, { state: 'pending' }]);
      return (await recordAll(recordMany, rows)).results;
    });
    await moveSignals();
    expect(await waiting()).toBe(2);
  });

  it('another relay holds a record of the position → a later one waits for it', async () => {
    const { store, moveRecords, positions, recordMany } = await steps();
    const record = (positionProfileIds: string[]) =>
      outbox.inTransaction((client) =>
        writer.recordPosition(client, { positionId: 'position', positionProfileIds }),
      );
    await record(['first']);
    await store.moveRecords(50, async (rows) => {
      await record(['second']);
      expect(await moveRecords()).toBe(false);
      return (await recordAll(recordMany, rows)).results;
    });

    expect(await moveRecords()).toBe(true);

    expect(await positions.find('position')).toMatchObject({ positionProfileIds: ['second'] });
  });

  it('records of one transaction → recorded in their order', async () => {
    const { moveRecords, positions, seekTokens } = await steps();
    await outbox.inTransaction(async (client) => {
      for (const profile of ['first', 'second', 'third']) {
        await writer.recordPosition(client, {
          positionId: 'position',
          positionProfileIds: profile,
        });
        await writer.recordCandidateApplicationProfile(client, {
          applicationId: 'one',
          candidateApplicationProfileId: profile,
        });
      }
    });

    await moveRecords();

    expect(await positions.find('position')).toMatchObject({ positionProfileIds: ['third'] });
    expect(await seekTokens.lookup('one')).toMatchObject({
      candidateApplicationProfileId: 'third',
    });
  });

  it('invalid record → rejected with a reason and without its token; the signal is enqueued', async () => {
    const { startRelay, waiting, counts, logs } = await outbox.setup();
    const token = newToken();
    await outbox.inTransaction(async (client) => {
      const insert = 'INSERT INTO seek_signals.outbox (record) VALUES ($1)';
      await client.query(insert, [
        { applicationId: 'one', token, source: 'nowhere', other: token },
      ]);
      await client.query(insert, [JSON.stringify([token])]);
      await writer.enqueue(client, named('one'));
    });

    startRelay();
    await waitFor(async () => (await outbox.rows('id')).length === 2);
    expect(await waiting()).toBe(1);

    const masked = expect.stringContaining('[token: length');
    expect(await outbox.rows('state, reason, record')).toEqual([
      {
        state: 'rejected',
        reason: expect.stringContaining('/source'),
        record: {
          applicationId: 'one',
          source: 'nowhere',
          receivedAt: expect.any(String),
          maskedToken: masked,
        },
      },
      { state: 'rejected', reason: expect.stringContaining('Expected an object'), record: {} },
    ]);
    expect(counts).toEqual({ relayed: 1, rejected: 2 });
    expect(logs.text()).not.toContain(token);
  });

  it('record over 1 MiB → rejected, without its content', async () => {
    const { moveRecords } = await steps();
    await outbox.query(`INSERT INTO seek_signals.outbox (record)
      VALUES (jsonb_build_object('positionId', repeat('x', 1100000)))`);

    expect(await moveRecords()).toBe(true);

    expect(await outbox.rows('state, reason, record')).toEqual([
      { state: 'rejected', reason: 'The record is over 1 MiB', record: {} },
    ]);
  });

  it('one record cannot be stored → only its own transaction waits', async () => {
    const { startRelay, database, waiting, seekTokens, recordMany, logs } = await outbox.setup();
    let isBroken = true;
    await outbox.inTransaction((client) => apply(client, 'broken'));
    await outbox.inTransaction((client) => apply(client, 'sound'));
    await outbox.inTransaction((client) => writer.enqueue(client, complete()));

    startRelay(10, undefined, async (inputs) => {
      if (isBroken && JSON.stringify(inputs).includes('broken')) throw new Error('unreadable');
      return recordMany(inputs);
    });
    await waitFor(async () => (await waiting()) === 2);

    await waitFor(() => logs.text().includes('Failed to move outbox rows; will retry'));
    // The rows of the other signals leave with the commit, after their signals are in the queue.
    await waitFor(async () => (await createOutboxStore(database).read()).pending === 2);
    expect(await seekTokens.lookup('sound')).toHaveProperty('token');
    isBroken = false;
    await waitFor(outbox.isEmpty);
    expect(await waiting()).toBe(3);
  });

  it('Redis fails → records stay pending, and are recorded after its recovery', async () => {
    const { startRelay, waiting, logs } = await outbox.setup();
    await outbox.servers().redis.kill();
    startRelay();
    await outbox.inTransaction((client) => apply(client, 'one'));
    await waitFor(() => logs.text().includes('Failed to move outbox rows; will retry'));
    expect(await outbox.rows('state')).toEqual([{ state: 'pending' }, { state: 'pending' }]);

    await outbox.servers().redis.restart();

    await waitFor(outbox.isEmpty);
    expect(await waiting()).toBe(1);
  });

  it('committed while several relays run → moved at once, without polling', async () => {
    const { startRelay, database, waiting } = await outbox.setup();
    let notified = 0;
    const relays = [startRelay(NO_POLLING_MS), startRelay(NO_POLLING_MS)];
    const onNotified = () => {
      notified += 1;
      for (const relay of relays) relay.wake();
    };
    const listener = listenForRows({ listen: database.listen, onNotified });
    outbox.closing.push(listener.close);
    await waitFor(() => notified === 1);

    await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        outbox.inTransaction((client) => apply(client, `application-${n}`)),
      ),
    );

    await waitFor(outbox.isEmpty);
    expect(await waiting()).toBe(200);
  });

  it('outcome tracking → the row of a record is deleted once recorded', async () => {
    const { database, recordWith } = await steps();
    await outbox.inTransaction((client) => apply(client, 'one'));

    await recordWith(createOutboxStore(database, true));

    expect(await outbox.rows('record')).toEqual([{ record: null }]);
  });

  it('token without receivedAt → received when its row was written', async () => {
    const { moveRecords, seekTokens } = await steps();
    await outbox.query(
      `INSERT INTO seek_signals.outbox (record, created_at) VALUES ($1, '2026-01-31T09:30:00Z')`,
      [{ applicationId: 'one', token: newToken(), source: 'linkOut' }],
    );

    await moveRecords();

    expect((await seekTokens.lookup('one')).token).toMatchObject({
      receivedAt: '2026-01-31T09:30:00.000Z',
    });
  });

  it.each([
    { rows: 'without statistics', analyze: '' },
    { rows: 'with statistics', analyze: 'ANALYZE seek_signals.outbox' },
  ])(
    'many signals, $rows → signals and records are read from their own indexes',
    async ({ analyze }) => {
      const { database } = await outbox.setup();
      await outbox.query('ALTER TABLE seek_signals.outbox SET (autovacuum_enabled = off)');
      await outbox.query(
        `INSERT INTO seek_signals.outbox (signal)
       SELECT jsonb_build_object('typeCode', 'ApplicationComplete', 'token', 'token-' || n)
       FROM generate_series(1, 20000) AS numbers (n)`,
      );
      await outbox.query(analyze);
      const planOf = async (sql: string) => {
        const { rows } = await database.transaction((client) =>
          client.query(`EXPLAIN ${sql.replace('$1', '500')}`),
        );
        return JSON.stringify(rows);
      };

      const signals = await planOf(SELECT_PENDING);
      expect(signals).toContain('Index Scan using outbox_pending');
      expect(signals).toMatch(/Index (Only )?Scan using outbox_record_transactions/);
      for (const sql of [SELECT_FIRST_RECORD, SELECT_RECORDS]) {
        expect(await planOf(sql)).toMatch(/Index (Only )?Scan using outbox_records/);
      }
    },
  );
});

describe('an outbox of version 1', () => {
  const downgrade = async () => {
    await outbox.query('DROP SCHEMA seek_signals CASCADE');
    await outbox.query(`CREATE SCHEMA seek_signals;
      CREATE TABLE seek_signals.migrations (
        version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
      ${MIGRATIONS[0]}
      INSERT INTO seek_signals.migrations (version) VALUES (1)`);
  };

  it('relay runs on it → names the migration and waits; upgraded → the old rows are enqueued', async () => {
    const { startRelay, waiting, logs } = await outbox.setup();
    await downgrade();
    await outbox.inTransaction((client) => writer.enqueue(client, complete()));
    startRelay(10);
    await waitFor(() => logs.text().includes('seek-signals outbox migrate'));
    expect(await waiting()).toBe(0);

    expect(await outbox.inTransaction((client) => migrate(client))).toBe(MIGRATIONS.length - 1);
    await outbox.inTransaction((client) => apply(client, 'one'));

    await waitFor(outbox.isEmpty);
    expect(await waiting()).toBe(2);
  });

  it('upgraded → its rows are not rewritten', async () => {
    await downgrade();
    await outbox.inTransaction((client) => writer.enqueue(client, complete()));
    const file = async () =>
      (await outbox.query(`SELECT pg_relation_filenode('seek_signals.outbox') AS file`)).rows;
    const before = await file();

    await outbox.inTransaction((client) => migrate(client));

    expect(await file()).toEqual(before);
    expect(await outbox.rows('state, record, transaction_id')).toEqual([
      { state: 'pending', record: null, transaction_id: null },
    ]);
  });
});
