import { migrate } from '../../src/producer/outbox/migrations.ts';
import { createOutcomeRows } from '../../src/producer/outbox/outcomeRows.ts';
import { createOutboxStore } from '../../src/producer/outbox/rows.ts';
import { complete, useOutbox } from './outboxUnderTest.ts';

const outbox = useOutbox();

describe('outcome tracking', () => {
  /** Writes one row per state, as a relay that tracks outcomes does. */
  const trackRows = async (states: ('delivered' | 'skipped' | 'dead' | 'waiting')[]) => {
    const { database } = await outbox.setup();
    for (const _ of states) {
      await outbox.query('INSERT INTO seek_signals.outbox (signal) VALUES ($1)', [complete()]);
    }
    await createOutboxStore(database, true).move(10, async (locked) =>
      locked.map(({ id }, index) => ({
        kind: 'queued',
        id,
        signalId: `signal-${index}`,
        state: states[index] ?? 'waiting',
      })),
    );
    return createOutcomeRows(database);
  };

  it('row of a signal that is settled already → its token is removed', async () => {
    await trackRows(['delivered', 'skipped', 'dead', 'waiting']);

    expect(await outbox.rows(`state, signal ? 'token' AS "hasToken"`)).toEqual([
      { state: 'delivered', hasToken: false },
      { state: 'skipped', hasToken: false },
      { state: 'dead', hasToken: true },
      { state: 'queued', hasToken: true },
    ]);
  });

  it('reason with NUL → recorded with "?" in its place', async () => {
    const outcomeRows = await trackRows(['waiting']);

    await outcomeRows.recordOutcomes([
      { signalId: 'signal-0', outcome: 'skipped', at: 1, reason: 'no\u0000use' },
    ]);

    expect(await outbox.rows()).toEqual([{ state: 'skipped', reason: 'no?use' }]);
  });

  it('delivered after skipped → delivered is recorded', async () => {
    const outcomeRows = await trackRows(['waiting']);
    const signalId = 'signal-0';

    await outcomeRows.recordOutcomes([
      { signalId, outcome: 'skipped', at: 1, reason: 'no-token' },
      { signalId, outcome: 'delivered', at: 2 },
    ]);

    expect(await outbox.rows()).toEqual([{ state: 'delivered', reason: null }]);
  });
});

describe('outcome tracking in a LATIN1 database', () => {
  it('reason that a LATIN1 database cannot store → recorded in ASCII, with the other outcomes', async () => {
    await outbox.query(
      `CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
    );
    const { postgres } = outbox.servers();
    const database = await outbox.openDatabase(postgres.url.replace(/postgres$/, 'latin'), 1);
    await database.transaction(migrate);
    await database.query(
      `INSERT INTO seek_signals.outbox (signal, state, signal_id)
       VALUES ('{}', 'queued', 'one'), ('{}', 'queued', 'two')`,
    );

    await createOutcomeRows(database).recordOutcomes([
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
