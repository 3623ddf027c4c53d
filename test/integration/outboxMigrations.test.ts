import { MIGRATIONS, migrate, printMigrations } from '../../src/producer/outbox/migrations.ts';
import { useOutbox } from './outboxUnderTest.ts';

const outbox = useOutbox();

describe('migrate', () => {
  it('concurrent migrations → each is applied once', async () => {
    await outbox.query('DROP SCHEMA seek_signals CASCADE');

    const applied = await Promise.all(
      [1, 2, 3].map(() => outbox.inTransaction((client) => migrate(client))),
    );

    expect(applied.toSorted()).toEqual([0, 0, MIGRATIONS.length]);
  });

  it('printed script → leaves nothing to migrate', async () => {
    await outbox.query('DROP SCHEMA seek_signals CASCADE');

    await outbox.query(printMigrations());

    expect(await outbox.inTransaction((client) => migrate(client))).toBe(0);
  });
});
