import { gzipSync } from 'node:zlib';
import { createService } from '../../src/cli/processes/service.ts';
import { digestOf } from '../../src/config/apiKey.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { createApp } from '../../src/producer/api/app.ts';
import { buildApplicationComplete, buildSignal, buildState } from '../support/buildSignal.ts';
import { SLACK_MS } from '../support/inTime.ts';
import { onRedis, type Platform } from '../support/platforms.ts';
import { refused } from '../support/scriptedSeek.ts';
import { type Accepted, API_KEY, newToken, startDispatcher } from '../support/startDispatcher.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const OTHER_KEY = 'key-of-the-careers-site';
const complete = () => buildApplicationComplete({ token: newToken() });

let platform: Platform;
let stop = async () => {};
beforeAll(async () => {
  platform = await onRedis();
});
afterEach(() => stop());
afterAll(() => platform.stop());

const setup = async ({ env = {}, ...options }: Parameters<typeof startDispatcher>[1] = {}) => {
  const API_KEYS = `ats:${API_KEY},careers:${OTHER_KEY}`;
  const dispatcher = await startDispatcher(platform, {
    ...{ workers: 0, env: { API_KEYS, ...env } },
    ...options,
  });
  stop = dispatcher.stop;
  const { url } = dispatcher;

  return {
    ...dispatcher,
    post: (path: string, body: string | Uint8Array<ArrayBuffer>, headers: object = {}) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${API_KEY}`, ...headers },
        body,
      }),
  };
};

describe('POST /signals', () => {
  it('answers 202 with the signalId, and the signal is in the queue by then', async () => {
    const { call, find } = await setup();

    const answer = await call('POST', '/signals', complete());
    const body: Accepted = JSON.parse(await answer.text());

    expect(answer.status).toBe(202);
    expect(body).toEqual({
      ...{ signalId: expect.stringMatching(UUID), duplicate: false, state: 'waiting' },
    });
    expect(await find(body.signalId)).toMatchObject({ state: 'waiting', attempts: [] });
  });

  it('takes what SEEK would take but was hardly meant, with a warning', async () => {
    const { send } = await setup();
    const current = buildState({ status: { label: 'Interview', index: 5, total: 4 } });

    expect(await send(buildSignal({ token: newToken(), current }))).toMatchObject({
      ...{ duplicate: false, warnings: [expect.stringMatching(/^\/current\/status/)] },
    });
  });

  it('answers 422 with every field that is wrong', async () => {
    const { call, status } = await setup();

    const answer = await call('POST', '/signals', {
      ...{ typeCode: 'ApplicationStatusUpdate', token: ' padded ', unknown: 1 },
      current: buildState({ status: { label: 'Interview', index: -1, total: 4 } }),
    });
    const text = await answer.text();

    expect(answer.status).toBe(422);
    expect(Object.keys(JSON.parse(text).invalidFields).toSorted()).toEqual([
      ...['/current/status/index', '/token', '/unknown'],
    ]);
    expect(text).not.toContain('padded');
    expect((await status()).counts.waiting).toBe(0);
  });

  it.each([
    ['no JSON', '{"typeCode":'],
    ['nothing', ''],
    ['invalid UTF-8', Uint8Array.from([0x22, 0xff, 0x22])],
  ])('answers 400 to a body of %s, and quotes none of it', async (_, body) => {
    const { post } = await setup();

    const answer = await post('/signals', body);

    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({ message: 'The body is not JSON in UTF-8' });
  });

  it.each(['/signals', '/dead-letters/import'])(
    'answers 415 to a compressed body',
    async (path) => {
      const { post } = await setup();

      const answer = await post(path, Uint8Array.from(gzipSync('{}')), {
        'content-encoding': 'gzip',
      });

      expect([answer.status, await answer.json()]).toEqual([
        ...[415, { message: 'The body is compressed; send it uncompressed' }],
      ]);
    },
  );

  it('refuses invalid UTF-8 within a token rather than change it', async () => {
    const { post, status } = await setup();
    const head = new TextEncoder().encode('{"typeCode":"ApplicationComplete","token":"a');
    const tail = new TextEncoder().encode('"}');

    const answer = await post('/signals', Uint8Array.from([...head, 0xc3, ...tail]));

    expect(answer.status).toBe(400);
    expect((await status()).counts.waiting).toBe(0);
  });

  it('answers 413 to more than 1 MiB, and still takes the next', async () => {
    const { call, send } = await setup();

    const answer = await call('POST', '/signals', complete(), { padding: 'x' });
    const large = await call('POST', '/signals', { token: 'x'.repeat(1024 * 1024) });

    expect([answer.status, large.status]).toEqual([202, 413]);
    expect(await large.json()).toEqual({ message: 'The body is over 1 MiB' });
    await send(complete());
  });

  it.each([
    ['none', undefined],
    ['a wrong one', 'Bearer wrong'],
    ['one that only begins right', `Bearer ${API_KEY}x`],
    ['an empty one', 'Bearer '],
    ['another scheme', `Basic ${API_KEY}`],
  ])('answers 401 to a caller with %s for a key', async (_, authorization) => {
    const { url, status } = await setup();

    const answer = await fetch(`${url}/signals`, {
      method: 'POST',
      headers: authorization === undefined ? {} : { authorization },
      body: JSON.stringify(complete()),
    });

    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect((await status()).counts.waiting).toBe(0);
  });

  it('lets a key do what it is good for, and no more', async () => {
    const hash = digestOf('looks').toString('hex');
    const API_KEYS = `ats:${API_KEY},a+enqueue:sends,b+read:sha256=${hash},c+operate:works`;
    const { url, send } = await setup({ env: { API_KEYS }, workers: 0 });
    const { signalId } = await send(complete());
    const token = JSON.stringify({ token: newToken(), source: 'linkOut' });
    const calls: [string, string, string?][] = [
      ['POST', '/signals', JSON.stringify(complete())],
      ['POST', '/signals/batch', '{"signals":[]}'],
      ['PUT', '/applications/a/seek-token', token],
      ['GET', `/signals/${signalId}`],
      ['GET', '/status'],
      ['GET', '/dead-letters'],
      ['GET', '/applications/a/seek-token'],
      ['POST', '/dead-letters/redrive'],
      ['POST', `/dead-letters/${signalId}/redrive`],
      ['DELETE', `/dead-letters/${signalId}`],
      ['GET', '/dead-letters/export'],
      ['POST', '/dead-letters/import'],
      ['DELETE', '/applications/a/seek-token'],
    ];
    const mayCall = async (key: string): Promise<boolean[]> => {
      const may: boolean[] = [];
      for (const [method, path, body = null] of calls) {
        const headers = { authorization: `Bearer ${key}` };
        const answer = await fetch(url + path, { method, headers, body });
        await answer.text();
        may.push(answer.status !== 403 && answer.status !== 401);
      }
      return may;
    };
    const [yes, no] = [true, false];

    expect(await mayCall('sends')).toEqual([yes, yes, yes, ...Array(10).fill(no)]);
    expect(await mayCall('looks')).toEqual([no, no, no, yes, yes, yes, yes, ...Array(6).fill(no)]);
    expect(await mayCall('works')).toEqual([...Array(7).fill(no), ...Array(6).fill(yes)]);
    expect(await mayCall(`sha256=${hash}`)).toEqual(calls.map(() => no));
    expect(await mayCall(API_KEY)).toEqual(calls.map(() => yes));
  });

  it('keeps the Idempotency-Keys of one API key apart from those of another', async () => {
    const { call, send } = await setup();
    const own = { 'idempotency-key': 'order-1' };
    const theirs = { ...own, authorization: `Bearer ${OTHER_KEY}` };
    const signal = complete();

    const first = await send(signal, own);
    const foreign = await send(complete(), theirs);
    const again = await send(signal, own);
    const conflict = await call('POST', '/signals', complete(), own);

    expect(foreign).toMatchObject({ duplicate: false });
    expect(foreign.signalId).not.toBe(first.signalId);
    expect(again).toMatchObject({ signalId: first.signalId, duplicate: true });
    expect(conflict.status).toBe(409);
    expect(await conflict.json()).toEqual({
      ...{ message: expect.any(String), signalId: first.signalId },
    });
  });

  it.each(['', 'x'.repeat(256), 'é'])('answers 400 to the Idempotency-Key %j', async (key) => {
    const { call } = await setup();

    const answer = await call('POST', '/signals', complete(), { 'idempotency-key': key });

    expect(answer.status).toBe(400);
  });
});

describe('every answer', () => {
  it.each([
    ['GET', '/status', 200],
    ['GET', '/dead-letters/export', 200],
    ['GET', '/nowhere', 404],
    ['POST', '/signals', 400],
    ['GET', '/metrics', 200],
  ])('of %s %s is for no cache, and what it says it is', async (method, path, status) => {
    const { url } = await setup();
    const headers = { authorization: `Bearer ${API_KEY}` };

    const answer = await fetch(`${url}${path}`, { method, headers });

    expect(answer.status).toBe(status);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  });
});

describe('POST /signals/batch', () => {
  it('takes the good ones and says what is wrong with the bad, in order', async () => {
    const { call, find } = await setup();
    const good = complete();

    const answer = await call('POST', '/signals/batch', {
      signals: [good, { typeCode: 'ApplicationComplete' }, 7, good, complete()],
    });
    const { results } = JSON.parse(await answer.text());

    expect(answer.status).toBe(202);
    expect(results).toEqual([
      expect.objectContaining({ duplicate: false }),
      { invalidFields: { '/token': expect.any(String) } },
      { invalidFields: expect.any(Object) },
      { ...results[0], duplicate: true },
      expect.objectContaining({ duplicate: false }),
    ]);
    expect(await find(results[4].signalId)).toMatchObject({ state: 'waiting' });
  });

  it('takes 1000 signals, and refuses 1001', async () => {
    const { call, status } = await setup();
    const signals = Array.from({ length: 1000 }, complete);

    const full = await call('POST', '/signals/batch', { signals });
    const over = await call('POST', '/signals/batch', { signals: [...signals, complete()] });

    expect([full.status, over.status]).toEqual([202, 422]);
    expect(JSON.parse(await full.text()).results).toHaveLength(1000);
    expect(await over.json()).toMatchObject({ invalidFields: { '/signals': expect.any(String) } });
    expect((await status()).counts.waiting).toBe(1000);
  });

  it.each([{}, { signals: 'none' }, [], null])('answers 422 to %j', async (body) => {
    const { call } = await setup();

    expect((await call('POST', '/signals/batch', body)).status).toBe(422);
  });

  it('answers 413 to more than 4 MiB', async () => {
    const { call } = await setup();
    const token = 'x'.repeat(4 * 1024 * 1024);

    expect((await call('POST', '/signals/batch', { signals: [{ token }] })).status).toBe(413);
  });
});

describe('the other routes', () => {
  it('answer 404 where nothing is kept', async () => {
    const { call } = await setup();
    const id = '5b1f6c1e-0000-5000-8000-000000000001';

    const answers = await Promise.all([
      ...['/nothing', `/signals/${id}`, `/dead-letters/${id}`].map((path) => call('GET', path)),
      ...[call('POST', `/dead-letters/${id}/redrive`), call('DELETE', `/dead-letters/${id}`)],
    ]);

    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
    for (const answer of answers)
      expect(await answer.json()).toEqual({ message: expect.any(String) });
  });

  it('answer 422 to a filter that cannot be read, and touch nothing', async () => {
    const { call, send, untilDeadLettered } = await setup({
      workers: 1,
      answers: () => refused('FORBIDDEN'),
    });
    const { signalId } = await send(complete());
    await untilDeadLettered(signalId);

    const paths = ['since=yesterday', 'limit=0', 'limit=x', 'codes=FORBIDDEN'];
    for (const query of paths) {
      expect((await call('GET', `/dead-letters?${query}`)).status).toBe(422);
      expect((await call('POST', `/dead-letters/redrive?${query}`)).status).toBe(422);
    }
    expect((await call('POST', '/dead-letters/redrive', { codes: 'FORBIDDEN' })).status).toBe(422);
    expect((await call('GET', '/dead-letters?cursor=made-up')).status).toBe(422);
    expect((await call('POST', '/dead-letters/redrive', [])).status).toBe(400);
    expect(await untilDeadLettered(signalId)).toMatchObject({ redrives: 0 });
  });

  it('need a key, health, metrics and the description excepted', async () => {
    const { url } = await setup();
    const open = ['/health/live', '/health/ready', '/metrics', '/openapi.json'];
    const shut = ['/status', '/dead-letters', '/signals/x', '/dead-letters/x', '/nothing'];

    const statuses = (paths: string[]) =>
      Promise.all(paths.map(async (path) => (await fetch(`${url}${path}`)).status));

    expect(await statuses(open)).toEqual([200, 200, 200, 200]);
    expect(await statuses(shut)).toEqual([401, 401, 401, 401, 401]);
  });

  it('count what was accepted, and what waits', async () => {
    const { url, send } = await setup();
    const signal = complete();
    await send(signal);
    await send(signal);

    const text = await (await fetch(`${url}/metrics`)).text();

    expect(text).toContain('seek_signals_accepted_total{type="ApplicationComplete"} 1');
    expect(text).toContain('seek_signals_signals{state="waiting"} 1');
    expect(text).toMatch(/^seek_signals_oldest_unsent_seconds \d/m);
  });
});

describe('the OpenAPI document', () => {
  it('has the paths that the app has, neither more nor less', async () => {
    const { get, backend } = await setup();
    const { paths } = await get<{ paths: Record<string, object> }>('/openapi.json');
    const logger = createLogger({ level: 'silent' });
    const service = createService(backend, logger, loadConfig({}));
    const app = createApp({
      apiKeys: () => [],
      enqueue: await service.openEnqueue(),
      find: service.lookup.find,
      search: async () => [],
      deadLetters: service.deadLetters,
      exportDeadLetters: service.exportDeadLetters,
      importDeadLetters: service.importDeadLetters,
      seekTokens: service.seekTokens,
      recordSeekToken: async () => ({}),
      eraseApplication: async () => 0,
      onDiscarded: () => {},
      status: service.status,
      probes: service.probes,
      logger,
      stopping: new AbortController().signal,
      logBodies: false,
    });

    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    // Middleware stands in the list as well: some of it under every method, some under its own.
    const served = app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`);

    expect([...new Set(served)].toSorted()).toEqual(described.toSorted());
  });
});

describe('LOG_BODIES', () => {
  const exchange = async (LOG_BODIES: string) => {
    const token = newToken();
    const subject = await setup({
      ...{ env: { LOG_BODIES }, workers: 1 },
      answers: [refused('BAD_USER_INPUT', { message: `not good: ${token}` })],
    });
    const { signalId } = await subject.send(buildSignal({ token }));
    await subject.untilDeadLettered(signalId);
    await subject.call('POST', '/signals', { typeCode: 'ApplicationComplete', tokne: token });
    await subject.stop();
    stop = async () => {};
    return { ...subject, token };
  };

  it('shows whole requests and answers, but no token', async () => {
    const { logs, token } = await exchange('true');

    const messages = logs.lines().map(({ msg }) => msg);
    expect(messages).toEqual(expect.arrayContaining(['api.request', 'seek.exchange']));
    expect(logs.text()).toContain('Interview');
    expect(logs.text()).toContain(`[token: length ${token.length}, sha256 `);
    for (const secret of [token, 'partner-token-1', API_KEY, 'scripted-client-secret']) {
      expect(logs.text()).not.toContain(secret);
    }
  });

  it("is off by default: nothing of a hirer's text is logged", async () => {
    const { logs, token } = await exchange('false');

    expect(logs.text()).not.toContain('Interview');
    expect(logs.text()).not.toContain(token);
  });
});

describe('an API whose Redis is not there', () => {
  it('answers 503 with Retry-After in time, and lives', async () => {
    const nowhere = loadConfig({ REDIS_URL: 'redis://127.0.0.1:1' }, ['REDIS_URL']);
    const { openRedisBackend } = await import('../../src/cli/processes/service.ts');
    const away: Platform = {
      open: (_, profile, logger) => openRedisBackend(nowhere, profile, logger),
      clear: async () => {},
      stop: async () => {},
    };
    const { call, url, stop: close } = await startDispatcher(away, { workers: 0 });
    stop = close;

    const began = performance.now();
    const answers = await Promise.all([
      call('POST', '/signals', complete()),
      call('POST', '/signals/batch', { signals: [complete()] }),
      ...['/status', '/dead-letters', '/signals/x'].map((path) => call('GET', path)),
    ]);

    expect(performance.now() - began).toBeLessThan(5_000 + SLACK_MS);
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
    for (const { headers } of answers) expect(headers.get('retry-after')).toBe('5');
    expect((await fetch(`${url}/health/ready`)).status).toBe(503);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
  });
});
