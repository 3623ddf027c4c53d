import pg from 'pg';

import { createOutbox } from '../../src/producer/outbox/createOutbox.ts';
import { migrate } from '../../src/producer/outbox/migrations.ts';
import type { Env } from '../support/commands.ts';
import { startPostgres } from '../support/postgresServer.ts';
import type { Environment } from './environment.ts';
import type { Random } from './random.ts';
import type { TestSignal } from './signals.ts';
import type { StartedProcess } from './workerProcesses.ts';

/** An application with an outbox in its own PostgreSQL, and the relays that move the rows. */
export const startOutboxProducer = async (environment: Environment, more: Env = {}) => {
  const { producer, env, onClose, start } = environment;
  const postgres = await startPostgres();
  onClose(postgres.stop);
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({
      connectionString: postgres.url,
      connectionTimeoutMillis: 5_000,
      query_timeout: 20_000,
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
  const relayEnv: Env = { ...env, DATABASE_URL: postgres.url, ...more };
  const relays: StartedProcess[] = [];

  const runTransaction = async (
    signals: readonly TestSignal[],
    end: 'COMMIT' | 'ROLLBACK',
  ): Promise<void> => {
    const client = await connect();
    try {
      await client.query('BEGIN');
      for (const { signal } of signals) {
        const { text, values } = outbox.statement(signal as never);
        await client.query(text, values);
      }
      await client.query(end);
    } finally {
      await client.end().catch(() => {});
    }
  };

  /** Signals stay uncertain when the transaction fails: PostgreSQL may have committed it. */
  const commit = async (signals: readonly TestSignal[]): Promise<void> => {
    for (const signal of signals) producer.uncertain.set(signal.signalId, signal);
    await runTransaction(signals, 'COMMIT');
    for (const signal of signals) {
      producer.accepted.set(signal.signalId, signal);
      producer.uncertain.delete(signal.signalId);
    }
  };

  return {
    postgres,
    /** The environment of the `relay` and `outbox` commands. */
    env: relayEnv,
    startRelay: (): StartedProcess => {
      const relay = start(['relay'], relayEnv);
      relays.push(relay);
      return relay;
    },
    runningRelays: () => relays.filter((relay) => relay.isRunning()),
    /** Inserts in transactions of 1 to 5 rows. Rolls a third of them back, and ignores failed ones. */
    insert: async (signals: readonly TestSignal[], random: Random): Promise<void> => {
      for (let at = 0; at < signals.length; ) {
        const batch = signals.slice(at, at + random.between(1, 5));
        at += batch.length;
        if (random.chance(1 / 3)) await runTransaction(batch, 'ROLLBACK').catch(() => {});
        else await commit(batch).catch(() => {});
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

export type OutboxProducer = Awaited<ReturnType<typeof startOutboxProducer>>;
