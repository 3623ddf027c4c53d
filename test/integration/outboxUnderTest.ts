import pg from 'pg';

import { compose } from '../../src/cli/compose.ts';
import { openRedisBackend } from '../../src/cli/processes/service.ts';
import { loadConfig } from '../../src/config/config.ts';
import { migrate } from '../../src/producer/outbox/migrations.ts';
import { openPostgres } from '../../src/producer/outbox/postgres.ts';
import { createRelay } from '../../src/producer/outbox/relay.ts';
import { createOutboxStore } from '../../src/producer/outbox/rows.ts';
import { SIGNALS } from '../../src/queue/backend.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { type PostgresServer, startPostgres } from '../support/postgresServer.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';
import { newToken } from '../support/startDispatcher.ts';

/** A poll interval so long that only a notification can be the cause of a move. */
export const NO_POLLING_MS = 3_600_000;

export const complete = (token = newToken()) => ({
  typeCode: 'ApplicationComplete' as const,
  token,
});

const connectAts = (postgres: PostgresServer) => {
  const pool = new pg.Pool({ connectionString: postgres.url });
  pool.on('error', () => {});
  return pool;
};

/** Starts PostgreSQL and Redis for the tests of a file; each test begins with an empty outbox and queue. */
export const useOutbox = () => {
  let servers: { postgres: PostgresServer; redis: RedisServer; ats: pg.Pool } | undefined;
  let queues = 0;
  const closing: (() => Promise<unknown>)[] = [];

  const started = () => {
    if (servers === undefined) throw new Error('useOutbox: the servers have not started');
    return servers;
  };

  beforeAll(async () => {
    const [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
    servers = { postgres, redis, ats: connectAts(postgres) };
  });
  beforeEach(async () => {
    queues += 1;
    await started().ats.query('DROP SCHEMA IF EXISTS seek_signals CASCADE');
    await inTransaction((client) => migrate(client));
  });
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close();
  });
  afterAll(async () => {
    if (servers === undefined) return;
    await servers.ats.end();
    await Promise.all([servers.postgres.stop(), servers.redis.stop()]);
  });

  const inTransaction = async <Result>(
    work: (client: pg.PoolClient) => Promise<Result>,
    end: 'COMMIT' | 'ROLLBACK' = 'COMMIT',
  ): Promise<Result> => {
    const client = await started().ats.connect();
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query(end);
      return result;
    } finally {
      client.release();
    }
  };

  const openDatabase = async (url = started().postgres.url, max = 4) => {
    const database = await openPostgres(url, max);
    closing.push(database.close);
    return database;
  };

  /** A relay and its surroundings, on a queue of the test's own. */
  const setup = async () => {
    const { redis } = started();
    const logs = captureLogs();
    const env = { REDIS_URL: redis.url, QUEUE_PREFIX: `{outbox-${queues}}` };
    const config = { ...loadConfig(env), REDIS_URL: redis.url };
    const backend = openRedisBackend(config, 'fail-fast', logs.logger);
    closing.push(backend.close);
    const database = await openDatabase();
    const store = createOutboxStore(database);
    const composition = compose(config, backend, logs.logger);
    const enqueue = await composition.openEnqueue();
    const { recordMany } = (await composition.openRecorders()).recordIdentifiers;
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
      logs,
      backend,
      database,
      store,
      enqueue,
      recordMany,
      seekTokens: composition.seekTokens,
      positions: composition.positions,
      counts,
      signals,
      /** With `enqueueWith` or `recordWith`, the relay calls those in place of its own. */
      startRelay: (pollMs?: number, enqueueWith = enqueue, recordWith = recordMany) => {
        const relay = createRelay({
          store,
          enqueue: enqueueWith,
          recordMany: recordWith,
          logger: logs.logger,
          metrics,
          ...(pollMs === undefined ? {} : { pollMs }),
        });
        closing.push(relay.close);
        return relay;
      },
      waiting: async () => (await signals.getJobCounts('waiting')).waiting,
    };
  };

  const rows = async (columns = 'state, reason') =>
    (await started().ats.query(`SELECT ${columns} FROM seek_signals.outbox ORDER BY id`)).rows;

  return {
    servers: started,
    closing,
    inTransaction,
    openDatabase,
    setup,
    rows,
    isEmpty: async () => (await rows()).length === 0,
    query: (text: string, values?: unknown[]) => started().ats.query(text, values),
    insertLarge: (count: number, length = 1_000_000) =>
      started().ats.query(
        `INSERT INTO seek_signals.outbox (signal)
         SELECT jsonb_build_object('typeCode', 'ApplicationComplete', 'token', n || '-' || repeat('x', $2))
         FROM generate_series(1, $1::int) AS numbers (n)`,
        [count, length],
      ),
  };
};
