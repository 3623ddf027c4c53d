import { Redis } from 'ioredis';
import pg from 'pg';

import { createOutbox } from '../../src/producer/outbox/createOutbox.ts';
import { isObject } from '../../src/schemas/json.ts';

import { buildCommands, type Commands, type Env } from '../support/commands.ts';
import { type PostgresServer, startPostgres } from '../support/postgresServer.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';
import { html, refused, startScriptedSeek } from '../support/scriptedSeek.ts';
import { waitFor } from '../support/waitFor.ts';

let commands: Commands;
let postgres: PostgresServer;
let redis: RedisServer;
let ats: pg.Pool;
let queues = 0;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  [commands, postgres, redis] = await Promise.all([buildCommands(), startPostgres(), startRedis()]);
  ats = new pg.Pool({ connectionString: postgres.url });
  ats.on('error', () => {});
}, 120_000);
beforeEach(async () => {
  queues += 1;
  await ats.query('DROP SCHEMA IF EXISTS seek_signals CASCADE');
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});
afterAll(async () => {
  await commands.stop();
  await ats.end();
  await Promise.all([postgres.stop(), redis.stop()]);
});

const REJECTED = 'hirer-x';

const setup = async (more: Env = {}) => {
  const seek = await startScriptedSeek({
    answers: ({ text }) =>
      text.includes(REJECTED) ? refused('FORBIDDEN', { message: 'Not for this hirer' }) : undefined,
  });
  closing.push(seek.close);
  const env: Env = {
    ...seek.env,
    REDIS_URL: redis.url,
    QUEUE_PREFIX: `{outbox-${queues}}`,
    DATABASE_URL: postgres.url,
    METRICS_PORT: '0',
    SHUTDOWN_TIMEOUT_MS: '5000',
    RETRY_BASE_MS: '50',
    RETRY_MAX_MS: '200',
    DELIVERY_SUSPEND_MAX_MS: '200',
    ...more,
  };
  const start = async (command: 'relay' | 'worker') => {
    const started = commands.start([command], env);
    closing.push(async () => started.isRunning() && started.end('SIGKILL'));
    await started.waitForOutput(/Relay started|Worker started/);
    return started;
  };
  const run = (...args: string[]) => commands.run(args, env);
  const migrated = await run('outbox', 'migrate');
  expect(migrated).toMatchObject({ code: 0 });

  return {
    seek,
    env,
    start,
    run,
    /** Inserts rows as the ATS would: `count` signals with the tokens `name-1`, `name-2` and so on. */
    insert: (name: string, count: number) =>
      ats.query(
        `INSERT INTO seek_signals.outbox (signal)
         SELECT jsonb_build_object('typeCode', 'ApplicationComplete', 'token', $1 || '-' || n)
         FROM generate_series(1, $2::int) AS numbers (n)`,
        [name, count],
      ),
    counts: async (): Promise<Record<string, number>> => {
      const { rows } = await ats.query(
        'SELECT state, count(*)::int AS rows FROM seek_signals.outbox GROUP BY state',
      );
      return Object.fromEntries(rows.map(({ state, rows: count }) => [state, count]));
    },
    sent: (): string[] =>
      seek.inputs().map((input) => (isObject(input) ? String(input.token) : '')),
  };
};

describe('the relay process', () => {
  it('killed while it moves rows → every committed row is delivered once', async () => {
    const { start, insert, counts, sent } = await setup();
    await start('worker');
    const relays = [await start('relay'), await start('relay')];
    await insert('first', 1_500);
    await waitFor(() => sent().length > 0);
    await relays[0]?.end('SIGKILL');
    await insert('second', 1_500);
    await relays[1]?.end('SIGKILL');
    await start('relay');

    await waitFor(async () => Object.keys(await counts()).length === 0);
    await waitFor(() => sent().length >= 3_000);

    expect(new Set(sent()).size).toBe(3_000);
    expect(sent()).toHaveLength(3_000);
  });

  it('token recorded in the transaction of its signal → the signal is delivered with it', async () => {
    const { start, counts, sent } = await setup();
    await Promise.all([start('worker'), start('relay'), start('relay')]);
    const outbox = createOutbox();
    const count = 50;

    await Promise.all(
      Array.from({ length: count }, async (_, n) => {
        const applicationId = `application-${n}`;
        const client = await ats.connect();
        await client.query('BEGIN');
        // The signal first: the relay must not depend on the order of the rows.
        await outbox.enqueue(client, { typeCode: 'ApplicationComplete', applicationId });
        await outbox.recordSeekToken(client, {
          applicationId,
          token: `token-${n}`,
          source: 'linkOut',
        });
        await client.query(n % 5 === 0 ? 'ROLLBACK' : 'COMMIT');
        client.release();
      }),
    );
    await waitFor(async () => Object.keys(await counts()).length === 0);
    await waitFor(() => sent().length >= 40);

    const tokens = Array.from({ length: count }, (_, n) => `token-${n}`);
    expect(sent().sort()).toEqual(tokens.filter((_, n) => n % 5 !== 0).sort());
  });

  it('table of version 1 → the relay logs the migration to run', async () => {
    const { start } = await setup();
    await ats.query(
      'ALTER TABLE seek_signals.outbox DROP COLUMN record, DROP COLUMN transaction_id',
    );

    const relay = await start('relay');

    await relay.waitForOutput(/run \\"seek-signals outbox migrate/);
  });

  it('while it runs → status shows pending and rejected rows; SIGTERM → exit code 0', async () => {
    const { start, insert, run } = await setup();
    await ats.query(`INSERT INTO seek_signals.outbox (signal) VALUES ('{"typeCode":"Nothing"}')`);
    const relay = await start('relay');
    await insert('one', 1);
    await waitFor(async () => (await run('status', '--json')).stdout.includes('"waiting":1'));

    const status = await run('status');
    expect(status.stdout).toContain('outbox: no pending rows; 1 rejected');

    expect(await relay.end('SIGTERM')).toMatchObject({ code: 0 });
  });

  it('the database goes away → not ready but alive; it returns → ready', async () => {
    const { env } = await setup();
    const relay = commands.start(['relay'], { ...env, METRICS_PORT: '' });
    closing.push(async () => relay.isRunning() && relay.end('SIGKILL'));
    const url = await relay.waitForOutput(/"metrics":"([^"]+)"/);
    const health = async (what: string) => (await fetch(`${url}/health/${what}`)).status;
    await waitFor(async () => (await health('ready')) === 200);

    await postgres.kill('SIGQUIT');
    expect(await health('ready')).toBe(503);
    expect(await health('live')).toBe(200);

    await postgres.restart();
    await waitFor(async () => (await health('ready')) === 200);
  });

  it('SIGTERM while the database does not respond → exit code 0', async () => {
    const { start, insert, counts } = await setup();
    const relay = await start('relay');
    await insert('before', 1);
    await waitFor(async () => Object.keys(await counts()).length === 0);

    await postgres.freeze();
    const ended = await relay.end('SIGTERM').finally(postgres.thaw);

    expect(ended).toMatchObject({ code: 0 });
  });

  it.each([
    { without: 'DATABASE_URL', says: 'DATABASE_URL is required' },
    { without: 'REDIS_URL', says: 'REDIS_URL is required' },
  ])('without $without → exit code 2', async ({ without, says }) => {
    const { env } = await setup();

    const { code, stderr } = await commands.run(['relay'], { ...env, [without]: '' });

    expect([code, stderr]).toEqual([2, expect.stringContaining(says)]);
  });
});

describe('outcome tracking', () => {
  const tracking = { OUTBOX_TRACK_OUTCOMES: 'true' };

  it('a delivered or dead signal → its row has the outcome, and a delivered row has no token', async () => {
    const { start, insert, counts, seek } = await setup(tracking);
    await Promise.all([start('worker'), start('relay')]);

    await insert('good', 20);
    await insert(REJECTED, 5);
    await waitFor(async () => {
      const { delivered, dead } = await counts();
      return delivered === 20 && dead === 5;
    });

    const { rows } = await ats.query(
      `SELECT state, reason, request_id, signal ? 'token' AS "hasToken" FROM seek_signals.outbox ORDER BY id`,
    );
    const requestIds = new Set(seek.requests.map(({ headers }) => headers['x-request-id']));
    for (const row of rows) expect(requestIds).toContain(row.request_id);
    expect(rows.filter(({ hasToken }) => hasToken)).toHaveLength(5);
    expect(rows.at(-1)).toMatchObject({ state: 'dead', reason: 'FORBIDDEN: Not for this hirer' });
  });

  it('a reason with a NUL, which PostgreSQL cannot store → stored with a replacement character', async () => {
    const { start, insert, counts, seek } = await setup(tracking);
    seek.answerWith(({ text }) =>
      text.includes(REJECTED) ? refused('FORBIDDEN', { message: 'Not\u0000for you' }) : undefined,
    );
    await Promise.all([start('worker'), start('relay')]);

    await insert(REJECTED, 1);
    await insert('good', 1);

    await waitFor(async () => {
      const { delivered, dead } = await counts();
      return delivered === 1 && dead === 1;
    });
    const { rows } = await ats.query(`SELECT reason FROM seek_signals.outbox WHERE state = 'dead'`);
    expect(rows).toEqual([{ reason: 'FORBIDDEN: Not\ufffdfor you' }]);
  });

  it('outbox reconcile after Redis lost its data → only the undelivered signals are sent again', async () => {
    const { start, insert, counts, sent, seek, run } = await setup(tracking);
    await Promise.all([start('worker'), start('relay')]);
    await insert('before', 30);
    await insert(REJECTED, 3);
    await waitFor(async () => {
      const { delivered, dead } = await counts();
      return delivered === 30 && dead === 3;
    });
    seek.answerWith(() => html(503));
    await insert('during', 40);
    await waitFor(async () => (await counts()).queued === 40);

    const client = new Redis(redis.url);
    await client.flushall();
    client.disconnect();
    const preview = JSON.parse((await run('outbox', 'reconcile', '--dry-run', '--json')).stdout);
    const reconciled = JSON.parse((await run('outbox', 'reconcile', '--json')).stdout);
    const again = JSON.parse((await run('outbox', 'reconcile', '--json')).stdout);
    seek.answerWith(() => undefined);

    expect(preview).toMatchObject({ checked: 43, reenqueued: 43 });
    expect(reconciled).toMatchObject({ checked: 43, reenqueued: 43, rejected: 0 });
    expect(again).toMatchObject({ reenqueued: 0 });
    await waitFor(async () => (await counts()).delivered === 73);
    const times = new Map<string, number>();
    for (const token of sent()) times.set(token, (times.get(token) ?? 0) + 1);
    for (let n = 1; n <= 30; n += 1) expect(times.get(`before-${n}`)).toBe(1);
  });
});
