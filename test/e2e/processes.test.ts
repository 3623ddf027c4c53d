import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { createProducer } from '../../src/index.ts';
import type { SignalRecord } from '../../src/schemas/signalRecord.ts';
import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSignal,
} from '../support/buildSignal.ts';
import { buildCommands, type Commands, type Env } from '../support/commands.ts';
import { SLACK_MS } from '../support/inTime.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';
import { runOutLocks } from '../support/runOutLocks.ts';
import {
  delivered,
  empty,
  hang,
  refused,
  slow,
  startScriptedSeek,
} from '../support/scriptedSeek.ts';
import { type Accepted, API_KEY, newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const BOARD = { username: 'operator', password: 'board-password' };

const tokens: string[] = [];
const token = (): string => {
  const made = newToken();
  tokens.push(made);
  return made;
};
const complete = () => buildApplicationComplete({ token: token() });

let commands: Commands;
let redis: RedisServer;
const closing: (() => Promise<unknown>)[] = [];
let queues = 0;
beforeAll(async () => {
  [commands, redis] = await Promise.all([buildCommands(), startRedis()]);
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(async () => {
  await commands.stop();
  await redis.stop();
});

type Started = ReturnType<Commands['start']>;

/** A deployment: a queue of its own on the Redis, a scripted SEEK, and processes on request. */
const setup = async (options: Parameters<typeof startScriptedSeek>[0] = {}) => {
  const seek = await startScriptedSeek(options);
  closing.push(seek.close);
  queues += 1;
  const env: Env = {
    ...{ ...seek.env, REDIS_URL: redis.url, QUEUE_PREFIX: `{test-${queues}}` },
    ...{ API_KEYS: `ats:${API_KEY}`, API_PORT: '0', METRICS_PORT: '0', BOARD_PORT: '0' },
    ...{ BOARD_USERNAME: BOARD.username, BOARD_PASSWORD: BOARD.password },
    ...{ RETRY_BASE_MS: '10', RETRY_MAX_MS: '100', SHUTDOWN_TIMEOUT_MS: '5000' },
  };
  const start = (command: string, more: Env = {}): Started => {
    const started = commands.start([command], { ...env, ...more });
    closing.push(async () => started.isRunning() && started.end('SIGKILL'));
    return started;
  };
  const startWorker = async (more: Env = {}): Promise<Started> => {
    const started = start('worker', more);
    await started.says(/Worker started/);
    return started;
  };
  const startApi = async () => {
    const api = start('api');
    const url = await api.says(/"url":"([^"]+)"/);
    const headers = { authorization: `Bearer ${API_KEY}` };
    return {
      ...{ api, url },
      send: async (signals: object[]): Promise<Accepted[]> => {
        const body = JSON.stringify({ signals });
        const answer = await fetch(`${url}/signals/batch`, { method: 'POST', headers, body });
        expect(answer.status).toBe(202);
        return JSON.parse(await answer.text()).results;
      },
      find: async (signalId: string): Promise<SignalRecord> =>
        JSON.parse(await (await fetch(`${url}/signals/${signalId}`, { headers })).text()),
    };
  };
  const run = (...args: string[]) => commands.run(args, env);

  return { seek, env, start, startWorker, startApi, run };
};

const settled = async (find: (id: string) => Promise<SignalRecord>, ids: string[]) => {
  for (const id of ids) await waitFor(async () => (await find(id)).state === 'delivered');
};

const tokenOf = ({ text }: { text: string }): string => JSON.parse(text).variables.input.token;

describe('the processes of a deployment', () => {
  it('deliver 300 mixed signals once each, and end in time when they are told to', async () => {
    const { seek, start, startWorker, startApi } = await setup();
    const { api, send, find } = await startApi();
    const workers = [await startWorker(), await startWorker()];
    const board = start('board');
    const boardUrl = await board.says(/"url":"([^"]+)"/);
    const signals = Array.from({ length: 100 }, (_, n) => [
      complete(),
      buildSignal({ token: token() }),
      buildPositionStatusUpdate({ positionProfileIds: [`position-${n}`] }),
    ]).flat();

    const accepted = await send(signals);
    await waitFor(() => seek.requests.length >= 300);
    await settled(
      find,
      accepted.map(({ signalId }) => signalId),
    );

    expect(seek.inputs()).toHaveLength(300);
    expect(seek.inputs()).toEqual(expect.arrayContaining(signals));
    const requestIds = seek.requests.map(({ headers }) => headers['x-request-id']);
    expect(new Set(requestIds).size).toBe(300);
    for (const id of requestIds) expect(id).toMatch(UUID);
    // One partner token for each process that had something to send.
    const bearers = new Set(seek.requests.map(({ headers }) => headers.authorization));
    expect(bearers.size).toBe(seek.tokenRequests.length);
    expect(seek.tokenRequests.length).toBeLessThanOrEqual(2);
    const page = await fetch(boardUrl, {
      headers: { authorization: `Basic ${btoa(`${BOARD.username}:${BOARD.password}`)}` },
    });
    expect([page.status, (await fetch(boardUrl)).status]).toEqual([200, 401]);

    const ended = await Promise.all([api, board, ...workers].map((process) => process.end()));
    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    for (const { ms } of ended) expect(ms).toBeLessThan(4_000 + SLACK_MS);
  });

  it('deliver all when a worker is killed in mid-attempt: only what it held may come twice', async () => {
    const held: string[] = [];
    let killed = false;
    const { seek, env, startWorker, startApi } = await setup({
      answers: (request) => {
        if (killed) return delivered();
        held.push(tokenOf(request));
        return held.length > 30 ? hang() : slow(5, delivered());
      },
    });
    const { send, find } = await startApi();
    const worker = await startWorker({ WORKER_CONCURRENCY: '10' });
    const signals = Array.from({ length: 60 }, complete);
    const ids = (await send(signals)).map(({ signalId }) => signalId);
    await waitFor(() => held.length >= 40);

    await worker.end('SIGKILL');
    killed = true;
    const client = new Redis(redis.url);
    await runOutLocks(client, env.QUEUE_PREFIX ?? '', 'signals');
    client.disconnect();
    await startWorker();
    await settled(find, ids);

    const arrived = seek.requests.map(tokenOf);
    expect(new Set(arrived)).toEqual(new Set(signals.map((signal) => signal.token)));
    const twice = arrived.filter((one, n) => arrived.indexOf(one) !== n);
    expect(twice.length).toBeLessThanOrEqual(10);
    for (const one of twice) expect(held.slice(20)).toContain(one);
  });

  it('hand back what a worker has in hand when it is told to end', async () => {
    const { seek, startWorker, startApi } = await setup({ answers: [hang(), hang(), hang()] });
    const { send, find } = await startApi();
    const worker = await startWorker({ SHUTDOWN_TIMEOUT_MS: '3500' });
    const ids = (await send([complete(), complete(), complete()])).map((one) => one.signalId);
    await waitFor(() => seek.requests.length === 3);

    const { code, ms } = await worker.end();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(3_500 + SLACK_MS);
    for (const id of ids) expect(await find(id)).toMatchObject({ state: 'waiting', attempts: [] });

    await startWorker();
    await settled(find, ids);
    expect(seek.requests).toHaveLength(6);
  });

  it.each([
    ['api', /API listening/],
    ['worker', /Worker started/],
    ['board', /Redis is not reachable/],
  ])('%s ends in time when it is told to, though its Redis is not there', async (command, up) => {
    const { start } = await setup();
    const process = start(command, { REDIS_URL: 'redis://127.0.0.1:1' });
    await process.says(up);
    await process.says(/Redis is not reachable/);

    const { code, ms } = await process.end();

    expect(code).toBe(0);
    expect(ms).toBeLessThan(5_000 + SLACK_MS);
  });

  it('demo leaves nothing behind where it cannot start', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'seek-demo-'));
    try {
      const { code } = await commands.run(['demo'], { LOG_LEVEL: 'nonsense', TMPDIR: folder });

      expect([code, await readdir(folder)]).toEqual([2, []]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each([
    ['api', ['REDIS_URL', 'API_KEYS']],
    ['worker', ['REDIS_URL', 'SEEK_CLIENT_ID', 'SEEK_CLIENT_SECRET']],
    ['board', ['REDIS_URL', 'BOARD_USERNAME', 'BOARD_PASSWORD']],
  ])('%s refuses to start, and says all that is missing', async (command, missing) => {
    const { code, stdout, stderr } = await commands.run([command], { RETRY_BASE_MS: 'soon' });

    expect(code).toBe(2);
    expect(stdout).toBe('');
    for (const name of missing) expect(stderr).toContain(`${name} is required`);
    expect(stderr).toContain('RETRY_BASE_MS must be a whole number');
  });

  it('a second worker finds another metrics port; one that was set by hand it insists on', async () => {
    const { startWorker, start } = await setup();
    const first = await startWorker({ METRICS_PORT: '' });
    const second = await startWorker({ METRICS_PORT: '' });

    // At least one of them: the port may be somebody else's from the start.
    const written = first.written.stdout + second.written.stdout;
    expect(written).toContain('Port in use; taking another');
    const url = await second.says(/"metrics":"([^"]+)"/);
    expect(url).not.toBe(await first.says(/"metrics":"([^"]+)"/));
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);

    const insisting = start('worker', { METRICS_PORT: new URL(url).port });
    expect(await insisting.exited).toBe(2);
    expect(insisting.written.stderr).toContain(`METRICS_PORT ${new URL(url).port} is in use`);
    expect((await second.end()).code).toBe(0);
  });

  it.each(['api', 'board', 'simulator'])(
    '%s says which port somebody else has',
    async (command) => {
      const { start, env } = await setup();
      const { port } = new URL(env.SEEK_API_URL ?? '');
      const variable = `${command.toUpperCase()}_PORT`;

      const insisting = start(command, { [variable]: port });

      expect(await insisting.exited).toBe(2);
      expect(insisting.written.stderr).toContain(`${variable} ${port} is in use`);
    },
  );
});

describe('secrets in files', () => {
  it('are changed over to when they are rotated; one that is wrong changes nothing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'seek-secrets-'));
    closing.push(() => rm(folder, { recursive: true }));
    const file = async (name: string, text: string): Promise<string> => {
      const path = join(folder, name);
      // As they are mounted: another file takes the place of the first.
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
      return path;
    };
    const { start } = await setup({
      token: ({ text }) => (text.includes('new-client-secret') ? undefined : empty(401)),
    });
    const api = start('api', { API_KEYS: '', API_KEYS_FILE: await file('keys', 'ats:old-key\n') });
    const url = await api.says(/"url":"([^"]+)"/);
    const call = async (key: string, path: string, body?: object) => {
      const headers = { authorization: `Bearer ${key}` };
      const post = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
      const answer = await fetch(url + path, { headers, ...post });
      return { status: answer.status, body: JSON.parse(await answer.text()) };
    };
    const { signalId } = (await call('old-key', '/signals', complete())).body;
    const worker = start('worker', {
      ...{ SEEK_CLIENT_SECRET: '', DELIVERY_SUSPEND_MAX_MS: '100' },
      SEEK_CLIENT_SECRET_FILE: await file('secret', 'old-client-secret'),
    });
    await worker.says(/SEEK refuses SEEK_CLIENT_ID/);

    await file('keys', 'two words');
    await api.says(/Secrets not reloaded/);
    expect((await call('old-key', '/status')).status).toBe(200);

    await file('keys', 'ats:new-key');
    await file('secret', 'new-client-secret');
    await api.says(/Secrets reloaded/);
    expect((await call('old-key', '/status')).status).toBe(401);
    await waitFor(
      async () => (await call('new-key', `/signals/${signalId}`)).body.state === 'delivered',
    );
    const written = [api, worker].map((one) => JSON.stringify(one.written)).join('');
    expect(written).not.toMatch(/(?:old|new)-(?:key|client-secret)/);
  }, 90_000);
});

describe('the commands for people', () => {
  it('tell where signals are, and redrive letters, straight from Redis', async () => {
    const { seek, startApi, startWorker, run } = await setup({
      answers: () => refused('FORBIDDEN'),
    });
    const { send, find } = await startApi();
    await startWorker();
    const [{ signalId } = { signalId: '' }] = await send([complete()]);
    await waitFor(async () => JSON.parse((await run('status', '--json')).stdout).counts.dead === 1);

    const [shown, list, deadLetter] = await Promise.all([
      run('show', signalId, '--json'),
      run('dead-letters', 'list', '--json'),
      run('dead-letters', 'show', signalId),
    ]);
    expect(JSON.parse(shown.stdout)).toMatchObject({ signalId, state: 'dead' });
    expect(JSON.parse(list.stdout)).toEqual([expect.objectContaining({ signalId })]);
    expect(deadLetter.stdout).toContain('FORBIDDEN');

    seek.answerWith([]);
    const [counts, filtered] = [
      await run('dead-letters', 'counts'),
      await run('dead-letters', 'list', '--text', 'nothing like it'),
    ];
    expect(counts.stdout).toMatch(/^ *1 +FORBIDDEN +ApplicationComplete/m);
    expect(filtered.stdout).toBe('no dead letters\n');
    expect(await run('find', '--application', 'nobody')).toMatchObject({
      ...{ code: 1, stdout: 'no such signals are kept\n' },
    });
    const [redriven, unknown, none] = [
      await run('dead-letters', 'redrive', signalId),
      await run('show', 'nobody'),
      await run('dead-letters', 'redrive', 'nobody'),
    ];
    await settled(find, [signalId]);
    expect(redriven).toMatchObject({ code: 0, stdout: 'redriven 1 of 1\n' });
    expect(unknown).toMatchObject({ code: 1, stdout: '' });
    expect(unknown.stderr).toContain('No signal nobody is kept');
    expect(none.code).toBe(1);
  });

  it('redrive no faster than they are told to, and stop when they are told to', async () => {
    const { env, seek, startApi, startWorker, run } = await setup({
      answers: () => refused('FORBIDDEN'),
    });
    const { send } = await startApi();
    await startWorker();
    await send(Array.from({ length: 4 }, complete));
    await waitFor(async () => JSON.parse((await run('status', '--json')).stdout).counts.dead === 4);
    seek.answerWith([]);

    const args = ['dead-letters', 'redrive', '--rate', '0.001', '--json'];
    const redriving = commands.start(args, env);
    await waitFor(
      async () => JSON.parse((await run('status', '--json')).stdout).counts.delivered === 1,
    );
    expect(await redriving.end('SIGINT')).toMatchObject({ code: 1 });

    expect(JSON.parse(redriving.written.stdout).redriven).toHaveLength(1);
    expect(redriving.written.stderr).toContain('Stopped');
    expect(JSON.parse((await run('status', '--json')).stdout).counts).toMatchObject({ dead: 3 });
    expect((await run('dead-letters', 'redrive')).stdout).toBe('redriven 3 of 3\n');
  });

  it('tell which seek tokens are about to expire, straight from Redis', async () => {
    const producer = createProducer({ redisUrl: redis.url });
    closing.push(producer.close);
    const receivedAt = new Date(Date.now() - 170 * 86_400_000);
    const recording = { token: token(), source: 'linkOut' as const, receivedAt };
    await producer.recordSeekToken({ applicationId: 'about to expire', ...recording });
    const expiring = (...args: string[]) =>
      commands.run(['tokens', 'expiring', ...args], { REDIS_URL: redis.url });

    const [soon, later] = [await expiring('--json'), await expiring('--within', '9d')];

    expect(JSON.parse(soon.stdout)).toMatchObject([{ applicationId: 'about to expire' }]);
    expect(later).toMatchObject({ code: 0, stdout: 'No token expires by then.\n' });
  });

  it('seal tokens anew after a change of keys, and say where they could not', async () => {
    const [oldKey, newKey] = [randomBytes(32), randomBytes(32)].map((key) =>
      key.toString('base64'),
    );
    const env = { REDIS_URL: redis.url, QUEUE_PREFIX: '{resealed}' };
    const producer = createProducer({
      ...{
        redisUrl: redis.url,
        queuePrefix: env.QUEUE_PREFIX,
        tokenEncryptionKeys: [oldKey ?? ''],
      },
    });
    closing.push(producer.close);
    await producer.recordSeekToken({ applicationId: 'a', token: token(), source: 'linkOut' });
    await producer.enqueue({ typeCode: 'ApplicationComplete', token: token() });
    const reencrypt = (keys: string) =>
      commands.run(['tokens', 're-encrypt', '--json'], { ...env, TOKEN_ENCRYPTION_KEYS: keys });

    const [without, withBoth, after] = [
      await reencrypt(`${newKey}`),
      await reencrypt(`${newKey},${oldKey}`),
      await reencrypt(`${newKey}`),
    ];

    expect([without.code, JSON.parse(without.stdout)]).toEqual([
      ...[1, { reencrypted: 0, undecryptable: 2, done: true }],
    ]);
    expect([withBoth.code, JSON.parse(withBoth.stdout)]).toEqual([
      ...[0, { reencrypted: 2, undecryptable: 0, done: true }],
    ]);
    expect([after.code, JSON.parse(after.stdout)]).toEqual([
      ...[0, { reencrypted: 0, undecryptable: 0, done: true }],
    ]);
  });

  it('say so, and end, when Redis is not there', async () => {
    const asked = commands.start(['status'], { REDIS_URL: 'redis://127.0.0.1:1' });
    closing.push(async () => asked.isRunning() && asked.end('SIGKILL'));

    await waitFor(() => !asked.isRunning(), { what: 'status to end' });
    expect(await asked.exited).toBe(1);
    expect(asked.written.stderr).not.toBe('');
  });

  it.each([
    ['an unknown command', ['launch']],
    ['a filter that is no date', ['dead-letters', 'list', '--since', 'yesterday']],
    ['a limit that is no whole number', ['dead-letters', 'list', '--limit', '1.5']],
    ['signal ids beside a filter', ['dead-letters', 'redrive', 'x', '--code', 'FORBIDDEN']],
    ['a discard without a reason', ['dead-letters', 'discard', 'x']],
    ['nothing to find signals by', ['find']],
    ['two things to find them by', ['find', '--application', 'a', '--position', 'p']],
    ['a key without its sender', ['find', '--idempotency-key', 'k']],
    ['a duration that is none', ['tokens', 'expiring', '--within', 'soon']],
    ['keys that are not given', ['tokens', 're-encrypt']],
  ])('exit 2 on %s', async (_, args) => {
    const { code, stdout, stderr } = await commands.run(args, { REDIS_URL: redis.url });

    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).not.toBe('');
  });
});

describe('dev on the embedded queue', () => {
  it('runs alone on its folder, serves the commands beside it, and keeps the data', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'seek-dev-'));
    closing.push(() => rm(folder, { recursive: true, force: true }));
    const seek = await startScriptedSeek({ answers: [refused('FORBIDDEN')] });
    closing.push(seek.close);
    const env = {
      ...{ ...seek.env, EMBEDDED_PATH: join(folder, 'queue'), API_KEYS: API_KEY },
      ...{ API_PORT: '0', BOARD_PORT: '0', SHUTDOWN_TIMEOUT_MS: '5000' },
    };
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await commands.run(args, env);
      return { code, stderr, stdout, json: () => JSON.parse(stdout) };
    };
    expect(await run('status')).toMatchObject({ code: 2, stdout: '' });

    const dev = commands.start(['dev'], env);
    const url = await dev.says(/API +(http:\S+)/);
    const second = await run('dev');
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/is used by process \d+/);

    const body = JSON.stringify(complete());
    const headers = { authorization: `Bearer ${API_KEY}` };
    const answer = await fetch(`${url}/signals`, { method: 'POST', headers, body });
    const { signalId }: Accepted = JSON.parse(await answer.text());
    await waitFor(async () => (await run('dead-letters', 'list', '--json')).json().length === 1);
    expect((await run('status', '--json')).json().counts).toMatchObject({ dead: 1, waiting: 0 });
    expect((await run('show', signalId, '--json')).json()).toMatchObject({ state: 'dead' });
    expect((await run('dead-letters', 'show', signalId)).stdout).toContain('FORBIDDEN');
    const [, requestId = ''] =
      /([0-9a-f-]{36}) +FORBIDDEN/.exec((await run('show', signalId)).stdout) ?? [];
    expect((await run('find', '--request-id', requestId)).stdout).toContain(signalId);
    expect((await run('tokens', 'expiring', '--json')).json()).toEqual([]);
    expect((await run('dead-letters', 'redrive', signalId)).code).toBe(0);
    await waitFor(() => seek.requests.length === 2);
    expect(await dev.end()).toMatchObject({ code: 0 });

    const again = commands.start(['dev'], env);
    await again.says(/API +(http:\S+)/);
    expect((await run('show', signalId, '--json')).json()).toMatchObject({
      ...{ state: 'delivered', redrives: 1 },
    });
    expect(await again.end('SIGINT')).toMatchObject({ code: 0 });
    // A dozen processes, one after another.
  }, 120_000);
});

describe('everything that the processes have written', () => {
  it('holds none of the tokens and secrets that they have used', () => {
    const output = commands.output();
    const secrets = ['partner-token-', 'scripted-client-secret', BOARD.password];

    expect(output).toContain('signal.accepted');
    expect(output).toContain('signal.deadLettered');
    for (const secret of [...tokens, ...tokens.map(encodeURIComponent), ...secrets]) {
      expect([secret, output.includes(secret)]).toEqual([secret, false]);
    }
  });
});
