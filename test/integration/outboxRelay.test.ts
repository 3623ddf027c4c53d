import { createOutbox } from '../../src/producer/outbox/createOutbox.ts';
import { listenForRows } from '../../src/producer/outbox/notifications.ts';
import { newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';
import { complete, NO_POLLING_MS, useOutbox } from './outboxUnderTest.ts';

const outbox = useOutbox();

describe('the relay', () => {
  const writer = createOutbox();

  it('enqueues a committed signal, and never one of a rolled-back transaction', async () => {
    const { startRelay, signals, waiting } = await outbox.setup();
    const signal = complete();

    const { signalId } = await outbox.inTransaction((client) => writer.enqueue(client, signal));
    await outbox.inTransaction((client) => writer.enqueue(client, complete()), 'ROLLBACK');
    startRelay();

    await waitFor(outbox.isEmpty);
    expect((await signals.getJob(signalId))?.data).toMatchObject({
      signal,
      acceptedFrom: 'outbox',
    });
    expect(await waiting()).toBe(1);
  });

  it('enqueue of an invalid signal → rejects, and the transaction can continue', async () => {
    const { store } = await outbox.setup();
    const invalid = complete(' not a token ');

    await outbox.inTransaction(async (client) => {
      await expect(writer.enqueue(client, invalid)).rejects.toMatchObject({
        name: 'InvalidSignalError',
        invalidFields: { '/token': expect.any(String) },
      });
      await writer.enqueue(client, complete());
    });

    expect(await store.read()).toMatchObject({ pending: 1, rejected: 0 });
  });

  it('rows written by hand → the valid one is enqueued, the invalid ones are rejected with a reason', async () => {
    const { startRelay, waiting, counts, logs } = await outbox.setup();
    const token = newToken();
    await outbox.query(
      `INSERT INTO seek_signals.outbox (signal) VALUES ($1), ('{"typeCode":"Nothing"}'), ('[]')`,
      [JSON.stringify(complete(token))],
    );

    startRelay();
    await waitFor(async () => (await outbox.rows()).every(({ state }) => state === 'rejected'));

    expect(await outbox.rows()).toEqual([
      { state: 'rejected', reason: expect.stringContaining('/typeCode') },
      { state: 'rejected', reason: expect.stringContaining('Expected an object') },
    ]);
    expect(await waiting()).toBe(1);
    expect(counts).toEqual({ relayed: 1, rejected: 2 });
    expect(logs.text()).not.toContain(token);
  });

  it('the same signal or key again → enqueued once; the key with other content → rejected', async () => {
    const { startRelay, waiting, signals } = await outbox.setup();
    const signal = complete();
    const other = complete();
    const idempotencyKey = newToken();
    const { signalId } = writer.statement(signal, { idempotencyKey });
    await outbox.inTransaction(async (client) => {
      for (let time = 0; time < 3; time += 1) {
        await writer.enqueue(client, signal);
        await writer.enqueue(client, signal, { idempotencyKey });
      }
    });
    startRelay();
    await waitFor(outbox.isEmpty);

    await outbox.inTransaction((client) => writer.enqueue(client, other, { idempotencyKey }));
    await waitFor(async () => (await outbox.rows()).some(({ state }) => state === 'rejected'));

    expect(await waiting()).toBe(2);
    expect((await signals.getJob(signalId))?.data).toMatchObject({ signal });
    expect((await outbox.rows())[0]?.reason).toContain('Idempotency-Key');
  });

  it('a committed row → moved at once by its notification, without polling', async () => {
    const { startRelay, database, waiting } = await outbox.setup();
    const relay = startRelay(NO_POLLING_MS);
    let notified = 0;
    const onNotified = () => {
      notified += 1;
      relay.wake();
    };
    const listener = listenForRows({ listen: database.listen, onNotified });
    outbox.closing.push(listener.close);
    // The first call follows the connection, for rows that were committed before it.
    await waitFor(() => notified === 1);

    const signal = complete();
    await outbox.inTransaction((client) => writer.enqueue(client, signal));

    await waitFor(async () => (await waiting()) === 1);
  });

  it('LISTEN fails → its connection is closed', async () => {
    const { database } = await outbox.setup();
    const connected = async () => {
      const { rows: sessions } = await outbox.query(
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

  it('several relays side by side → each row is moved once', async () => {
    const { startRelay, waiting, counts } = await outbox.setup();
    await outbox.query(
      `INSERT INTO seek_signals.outbox (signal)
       SELECT jsonb_build_object('typeCode', 'ApplicationComplete', 'token', 'token-' || n)
       FROM generate_series(1, 5000) AS numbers (n)`,
    );

    for (let relay = 0; relay < 3; relay += 1) startRelay();
    await waitFor(outbox.isEmpty);

    expect(await waiting()).toBe(5_000);
    expect(counts).toEqual({ relayed: 5_000, rejected: 0 });
  });

  it('relay crashes after the queue has the signal → the row is moved again, without a second job', async () => {
    const { startRelay, store, enqueue, waiting } = await outbox.setup();
    const signal = complete();
    await outbox.inTransaction((client) => writer.enqueue(client, signal));

    const crashing = store.move(10, async (taken) => {
      await enqueue(
        taken.map((row) => row.signal),
        { from: 'outbox' },
      );
      throw new Error('killed');
    });

    await expect(crashing).rejects.toThrow('killed');
    expect(await waiting()).toBe(1);
    expect(await outbox.rows()).toEqual([{ state: 'pending', reason: null }]);
    startRelay();
    await waitFor(outbox.isEmpty);
    expect(await waiting()).toBe(1);
  });

  it('Redis and then PostgreSQL fail → rows stay, and are moved after each recovery', async () => {
    const { startRelay, waiting, logs } = await outbox.setup();
    startRelay();
    await outbox.servers().redis.kill();
    const send = () => outbox.inTransaction((client) => writer.enqueue(client, complete()));
    await send();
    await waitFor(() => logs.text().includes('Failed to move outbox rows; will retry'));
    expect(await outbox.rows()).toEqual([{ state: 'pending', reason: null }]);

    await outbox.servers().redis.restart();
    await waitFor(outbox.isEmpty);
    await outbox.servers().postgres.restart();
    await waitFor(() =>
      send().then(
        () => true,
        () => false,
      ),
    );

    await waitFor(outbox.isEmpty);
    expect(await waiting()).toBe(2);
  });

  it('trigger disabled → the relay finds a new row by polling', async () => {
    const { startRelay, waiting } = await outbox.setup();
    await outbox.query('ALTER TABLE seek_signals.outbox DISABLE TRIGGER wake_relay');
    startRelay(10);

    await outbox.inTransaction((client) => writer.enqueue(client, complete()));

    await waitFor(async () => (await waiting()) === 1);
  });

  it('several batches of large rows → moved without waiting for the next poll', async () => {
    const { startRelay, waiting } = await outbox.setup();
    await outbox.insertLarge(30);

    startRelay(NO_POLLING_MS);

    await waitFor(async () => (await waiting()) === 30);
  });
});
