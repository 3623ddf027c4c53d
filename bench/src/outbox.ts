import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { createOutbox } from 'seek-signal-dispatcher';

import { buildSignal } from './payload.js';
import { type BenchPostgres, startPostgres } from './postgres.js';
import { type BenchRedis, CLI, startCommand, startRedis } from './processes.js';

const ROWS = 50_000;
const COMMITS = 1_000;
const LAG_SAMPLES = 300;
const CONCURRENCY = 8;
const POLL_INTERVAL_MS = 0.5;

const outbox = createOutbox();

const until = async (condition: () => Promise<boolean>, intervalMs = 20): Promise<void> => {
  while (!(await condition())) await delay(intervalMs);
};

const setup = async (extraEnv: Record<string, string> = {}) => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  const env = {
    REDIS_URL: redis.url,
    DATABASE_URL: postgres.url,
    METRICS_PORT: '0',
    ...extraEnv,
  };
  execFileSync(process.execPath, [CLI, 'outbox', 'migrate'], { env });
  return {
    redis,
    postgres,
    startRelay: () => startCommand(['relay'], env),
    stop: () => Promise.all([redis.stop(), postgres.stop()]),
  };
};

const fill = async ({ pool }: BenchPostgres, from: number, count: number): Promise<void> => {
  const signals = Array.from({ length: count }, (_, n) => outbox.row(buildSignal(from + n)).signal);
  await pool.query('INSERT INTO seek_signals.outbox (signal) SELECT unnest($1::jsonb[])', [
    signals,
  ]);
};

const bytes = async ({ pool }: BenchPostgres): Promise<number> =>
  Number(
    (await pool.query(`SELECT pg_total_relation_size('seek_signals.outbox') AS size`)).rows[0].size,
  );

const waiting = ({ client }: BenchRedis): Promise<number> => client.llen('{seek}:signals:wait');

/** The rows per second that one relay moves, and the size of a row. */
const measureRelay = async (extraEnv: Record<string, string>) => {
  const { redis, postgres, startRelay, stop } = await setup(extraEnv);
  const relay = startRelay();
  await fill(postgres, -1, 1);
  await until(async () => (await waiting(redis)) === 1);
  const before = await bytes(postgres);
  const startedAt = performance.now();
  for (let at = 0; at < ROWS; at += 10_000) await fill(postgres, at, 10_000);
  await until(async () => (await waiting(redis)) === ROWS + 1);
  const seconds = (performance.now() - startedAt) / 1_000;
  const after = await bytes(postgres);
  await relay.stop();
  await stop();
  return { perSecond: ROWS / seconds, bytesPerRow: (after - before) / ROWS };
};

/** The time from COMMIT until the signal is in the queue. */
const measureLag = async () => {
  const { redis, postgres, startRelay, stop } = await setup();
  const relay = startRelay();
  await fill(postgres, -1, 1);
  await until(async () => (await waiting(redis)) === 1);
  const lags: number[] = [];
  for (let n = 0; n < LAG_SAMPLES; n += 1) {
    const { signalId } = await inTransaction(postgres.pool, (client) =>
      outbox.enqueue(client, buildSignal(n)),
    );
    const committedAt = performance.now();
    await until(
      async () => (await redis.client.exists(`{seek}:signals:${signalId}`)) === 1,
      POLL_INTERVAL_MS,
    );
    lags.push(performance.now() - committedAt);
    await delay(20);
  }
  await relay.stop();
  await stop();
  lags.sort((a, b) => a - b);
  const at = (share: number) => lags[Math.floor(share * lags.length)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
};

const inTransaction = async <Result>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> => {
  const client = await pool.connect();
  await client.query('BEGIN');
  const result = await work(client);
  await client.query('COMMIT');
  client.release();
  return result;
};

/** Microseconds of a transaction that inserts one row of the ATS, with a signal and without. */
const measureInsert = async () => {
  const { postgres, startRelay, stop } = await setup();
  const relay = startRelay();
  const { pool } = postgres;
  await pool.query('CREATE TABLE applications (id int PRIMARY KEY, status text)');
  let next = 0;
  const change = (withSignal: boolean) =>
    inTransaction(pool, async (client) => {
      next += 1;
      await client.query('INSERT INTO applications VALUES ($1, $2)', [next, 'Interview']);
      if (withSignal) await outbox.enqueue(client, buildSignal(next));
    });
  const run = async (withSignal: boolean, concurrency: number): Promise<number> => {
    const startedAt = performance.now();
    await Promise.all(
      Array.from({ length: concurrency }, async () => {
        for (let n = 0; n < COMMITS / concurrency; n += 1) await change(withSignal);
      }),
    );
    return ((performance.now() - startedAt) * 1_000) / COMMITS;
  };
  await run(true, 1);
  const alone = { without: await run(false, 1), with: await run(true, 1) };
  const together = { without: await run(false, CONCURRENCY), with: await run(true, CONCURRENCY) };
  await relay.stop();
  await stop();
  return { alone, together };
};

export const measureOutbox = async () => {
  const { perSecond, bytesPerRow } = await measureRelay({});
  const tracked = await measureRelay({ OUTBOX_TRACK_OUTCOMES: 'true' });
  const lagMs = await measureLag();
  const transactionMicros = await measureInsert();
  return { perSecond, bytesPerRow, tracked, lagMs, transactionMicros };
};
