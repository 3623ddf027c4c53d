import pg from 'pg';

import { createOutbox } from '../../src/producer/outbox/createOutbox.ts';
import { migrate } from '../../src/producer/outbox/migrations.ts';
import { startPostgres } from '../support/postgresServer.ts';
import type { Stage } from './environment.ts';
import type { Worker } from './processes.ts';
import type { Random } from './random.ts';
import type { Offered } from './signals.ts';

type Started = Pick<Worker, 'written' | 'isRunning' | 'end' | 'says'>;

/** An ATS on a PostgreSQL of its own, with an outbox, and the relays that move it. */
export const openOutboxAts = async (stage: Stage, more: Record<string, string> = {}) => {
  const { ats, env, onClose, start } = stage;
  const postgres = await startPostgres();
  onClose(postgres.stop);
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({
      ...{ connectionString: postgres.url, connectionTimeoutMillis: 5_000, query_timeout: 20_000 },
    });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const first = await connect();
  await first.query('BEGIN');
  await migrate(first);
  await first.query('COMMIT');
  await first.end();

  const outbox = createOutbox();
  const relays: Started[] = [];

  const transact = async (some: readonly Offered[], end: 'COMMIT' | 'ROLLBACK'): Promise<void> => {
    const client = await connect();
    try {
      await client.query('BEGIN');
      for (const { signal } of some) {
        const { text, values } = outbox.statement(signal as never);
        await client.query(text, values);
      }
      await client.query(end);
    } finally {
      // The way that a process dies, too: without a word.
      await client.end().catch(() => {});
    }
  };

  /** Of what did not come to an answer it is not certain whether it was committed. */
  const commit = async (some: readonly Offered[]): Promise<void> => {
    for (const one of some) ats.unsure.set(one.signalId, one);
    await transact(some, 'COMMIT');
    for (const one of some) {
      ats.accepted.set(one.signalId, one);
      ats.unsure.delete(one.signalId);
    }
  };

  return {
    postgres,
    settings: { ...env, DATABASE_URL: postgres.url, ...more },
    startRelay: (): Started => {
      const relay = start(['relay'], { ...env, DATABASE_URL: postgres.url, ...more });
      relays.push(relay);
      return relay;
    },
    relays: () => relays.filter((relay) => relay.isRunning()),
    /** In transactions of a few, a third of them rolled back; a database that is away is tried again. */
    offer: async (signals: readonly Offered[], random: Random): Promise<void> => {
      for (let at = 0; at < signals.length; ) {
        const some = signals.slice(at, at + random.between(1, 5));
        at += some.length;
        if (random.chance(1 / 3)) await transact(some, 'ROLLBACK').catch(() => {});
        else await commit(some).catch(() => {});
      }
    },
    query: async (text: string) => {
      const client = await connect();
      try {
        return (await client.query(text)).rows;
      } finally {
        await client.end();
      }
    },
  };
};

export type OutboxAts = Awaited<ReturnType<typeof openOutboxAts>>;
