import { messageOf } from '../../messageOf.ts';
import { createOutboxStore, type OutboxReading } from './outboxStore.ts';
import { openPostgres } from './postgres.ts';

export type OutboxRead =
  | { kind: 'read'; reading: OutboxReading }
  | { kind: 'unreadable'; reason: string };

/** One look at the outbox, on a connection of its own. */
export const readOutbox = async (databaseUrl: string): Promise<OutboxRead> => {
  const postgres = await openPostgres(databaseUrl, 1);
  try {
    return { kind: 'read', reading: await createOutboxStore(postgres).read() };
  } catch (err) {
    return { kind: 'unreadable', reason: messageOf(err) };
  } finally {
    await postgres.close();
  }
};
