import { createService, openRedisBackend } from '../../src/cli/processes/service.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { createApp } from '../../src/producer/api/app.ts';
import { buildSignal } from '../support/buildSignal.ts';
import { closeAfterEach } from '../support/closeAfterEach.ts';
import { SLACK_MS } from '../support/inTime.ts';
import type { Platform } from '../support/platforms.ts';
import { refused } from '../support/scriptedSeek.ts';
import { API_KEY, newToken, startDispatcher } from '../support/startDispatcher.ts';
import { complete, useApi } from './apiUnderTest.ts';

const { setup, stop } = useApi();
const { closing } = closeAfterEach();

describe('every response', () => {
  it.each([
    ['GET', '/status', 200],
    ['GET', '/dead-letters/export', 200],
    ['GET', '/nowhere', 404],
    ['POST', '/signals', 400],
    ['GET', '/metrics', 200],
  ])('%s %s → forbids caching and content sniffing', async (method, path, status) => {
    const { url } = await setup();
    const headers = { authorization: `Bearer ${API_KEY}` };

    const answer = await fetch(`${url}${path}`, { method, headers });

    expect(answer.status).toBe(status);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  });
});

describe('the other routes', () => {
  it.each([
    ['PUT', '/signals', 'GET, HEAD, POST, OPTIONS'],
    ['POST', '/health/ready', 'GET, HEAD, OPTIONS'],
    ['POST', '/openapi.json', 'GET, HEAD, OPTIONS'],
    ['PATCH', '/dead-letters/some-id/', 'GET, HEAD, DELETE, OPTIONS'],
  ])('%s %s, a method that the path lacks → 405 with Allow', async (method, path, allow) => {
    const { call } = await setup();

    const answer = await call(method, path);

    expect([answer.status, answer.headers.get('allow')?.split(', ').toSorted()]).toEqual([
      405,
      allow.split(', ').toSorted(),
    ]);
    expect(await answer.json()).toEqual({ message: expect.stringContaining(method) });
  });

  it('a trailing slash → the same resource; HEAD → the status of GET', async () => {
    const { call, url } = await setup();

    expect((await call('POST', '/signals/', complete())).status).toBe(202);
    expect((await fetch(`${url}/health/ready/`)).status).toBe(200);
    expect((await fetch(`${url}/health/ready`, { method: 'HEAD' })).status).toBe(200);
  });

  it('an id that is no valid percent-encoding → 400, and nothing is erased', async () => {
    const { call, logs } = await setup();

    const answers = await Promise.all([
      call('DELETE', '/applications/%zz/seek-token'),
      call('PUT', '/positions/%', { positionProfileIds: 'seekAnz:position:1' }),
      call('GET', '/signals/%e0%a4'),
    ]);

    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400]);
    expect(logs.text()).not.toContain('application.erased');
  });

  it('unknown path or id → 404', async () => {
    const { call } = await setup();
    const id = '5b1f6c1e-0000-5000-8000-000000000001';

    const answers = await Promise.all([
      call('GET', '/nothing'),
      call('GET', `/signals/${id}`),
      call('GET', `/dead-letters/${id}`),
      call('POST', `/dead-letters/${id}/redrive`),
      call('DELETE', `/dead-letters/${id}`),
    ]);

    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
    for (const answer of answers) {
      expect(await answer.json()).toEqual({ message: expect.any(String) });
    }
  });

  it('invalid filter → 422, and nothing is redriven', async () => {
    const { call, send, untilDeadLettered } = await setup({
      workers: 1,
      answers: () => refused('FORBIDDEN'),
    });
    const { signalId } = await send(complete());
    await untilDeadLettered(signalId);

    const queries = ['since=yesterday', 'limit=0', 'limit=x', 'codes=FORBIDDEN'];
    for (const query of queries) {
      expect((await call('GET', `/dead-letters?${query}`)).status).toBe(422);
      expect((await call('POST', `/dead-letters/redrive?${query}`)).status).toBe(422);
    }
    expect((await call('POST', '/dead-letters/redrive', { codes: 'FORBIDDEN' })).status).toBe(422);
    expect((await call('GET', '/dead-letters?cursor=made-up')).status).toBe(422);
    expect((await call('POST', '/dead-letters/redrive', [])).status).toBe(400);
    expect(await untilDeadLettered(signalId)).toMatchObject({ redrives: 0 });
  });

  it('GET /metrics → counts accepted and waiting signals', async () => {
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
  it('paths of the document → exactly the routes of the app', async () => {
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
      positions: service.positions,
      recordSeekToken: async () => ({}),
      recordIdentifiers: {
        recordCandidateApplicationProfile: async () => ({}),
        removeCandidateApplicationProfile: async () => {},
        removePosition: async () => {},
        recordPosition: async () => {},
        recordMany: async () => [],
      },
      eraseApplication: async () => 0,
      onDiscarded: () => {},
      status: service.status,
      explainFailure: backend.explainFailure,
      probes: service.probes,
      logger,
      stopping: new AbortController().signal,
      logBodies: false,
    });

    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    // Hono lists middleware as routes, too: some with the method ALL, some twice with their own method.
    const served = app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`);

    expect([...new Set(served)].toSorted()).toEqual(described.toSorted());
  });
});

describe('LOG_BODIES', () => {
  const logsOfExchange = async (LOG_BODIES: string) => {
    const token = newToken();
    const subject = await setup({
      env: { LOG_BODIES },
      workers: 1,
      answers: [refused('BAD_USER_INPUT', { message: `not good: ${token}` })],
    });
    const { signalId } = await subject.send(buildSignal({ token }));
    await subject.untilDeadLettered(signalId);
    await subject.call('POST', '/signals', { typeCode: 'ApplicationComplete', tokne: token });
    await stop();
    return { ...subject, token };
  };

  it('true → logs whole requests and responses, without tokens', async () => {
    const { logs, token } = await logsOfExchange('true');

    const messages = logs.lines().map(({ msg }) => msg);
    expect(messages).toEqual(expect.arrayContaining(['api.request', 'seek.exchange']));
    expect(logs.text()).toContain('Interview');
    expect(logs.text()).toContain(`[token: length ${token.length}, sha256 `);
    for (const secret of [token, 'partner-token-1', API_KEY, 'scripted-client-secret']) {
      expect(logs.text()).not.toContain(secret);
    }
  });

  it('false → logs nothing of their content', async () => {
    const { logs, token } = await logsOfExchange('false');

    expect(logs.text()).not.toContain('Interview');
    expect(logs.text()).not.toContain(token);
  });
});

describe('an API without Redis', () => {
  it('every request → 503 with Retry-After within 5 seconds, and the process stays alive', async () => {
    const nowhere = loadConfig({ REDIS_URL: 'redis://127.0.0.1:1' }, ['REDIS_URL']);
    const away: Platform = {
      open: (_, profile, logger) => openRedisBackend(nowhere, profile, logger),
      clear: async () => {},
      stop: async () => {},
    };
    const { call, url, stop: stopApi } = await startDispatcher(away, { workers: 0 });
    closing.push(stopApi);

    const began = performance.now();
    const answers = await Promise.all([
      call('POST', '/signals', complete()),
      call('POST', '/signals/batch', { signals: [complete()] }),
      call('GET', '/status'),
      call('GET', '/dead-letters'),
      call('GET', '/signals/x'),
    ]);

    expect(performance.now() - began).toBeLessThan(5_000 + SLACK_MS);
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
    for (const { headers } of answers) expect(headers.get('retry-after')).toBe('5');
    expect((await fetch(`${url}/health/ready`)).status).toBe(503);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
  });
});
