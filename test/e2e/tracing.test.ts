import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

import type { SignalRecord } from '../../src/schemas/signalRecord.ts';
import { buildApplicationComplete } from '../support/buildSignal.ts';
import { buildCommands, type Commands, type Env } from '../support/commands.ts';
import { SLACK_MS } from '../support/inTime.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';
import { startScriptedCollector } from '../support/scriptedCollector.ts';
import { html, startScriptedSeek } from '../support/scriptedSeek.ts';
import { API_KEY, newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const PREFIX = '{traced}';

let commands: Commands;
let redis: RedisServer;
const closing: (() => Promise<unknown>)[] = [];
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

const toCollector = ({ url }: { url: string }): Env => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: url,
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  OTEL_BSP_SCHEDULE_DELAY: '50',
  OTEL_EXPORTER_OTLP_HEADERS: 'x-collector-key=collector-secret',
});

const startCollector = async (options: Parameters<typeof startScriptedCollector>[0] = {}) => {
  const collector = await startScriptedCollector(options);
  closing.push(collector.close);
  return collector;
};

/** A scripted SEEK, and processes on request, all with these variables. */
const setup = async (more: Env, answers: Parameters<typeof startScriptedSeek>[0] = {}) => {
  const seek = await startScriptedSeek(answers);
  closing.push(seek.close);
  const folder = await mkdtemp(join(tmpdir(), 'seek-traced-'));
  closing.push(() => rm(folder, { recursive: true, force: true }));
  const env: Env = {
    ...seek.env,
    QUEUE_PREFIX: PREFIX,
    EMBEDDED_PATH: folder,
    API_KEYS: `ats:${API_KEY}`,
    API_PORT: '0',
    METRICS_PORT: '0',
    BOARD_PORT: '0',
    SHUTDOWN_TIMEOUT_MS: '6000',
    RETRY_BASE_MS: '10',
    RETRY_MAX_MS: '100',
    ...more,
  };
  const start = (command: string) => {
    const started = commands.start([command], env);
    closing.push(async () => started.isRunning() && started.end('SIGKILL'));
    return started;
  };
  return { seek, start };
};

const client = (url: string) => {
  const headers = { authorization: `Bearer ${API_KEY}` };
  return {
    send: async (more: Record<string, string> = {}): Promise<string> => {
      const body = JSON.stringify(buildApplicationComplete({ token: newToken() }));
      const response = await fetch(`${url}/signals`, {
        method: 'POST',
        headers: { ...headers, ...more },
        body,
      });
      expect(response.status).toBe(202);
      return JSON.parse(await response.text()).signalId;
    },
    until: (signalId: string, state: string): Promise<SignalRecord> =>
      waitFor(async () => {
        const record = JSON.parse(
          await (await fetch(`${url}/signals/${signalId}`, { headers })).text(),
        );
        return record.state === state && record;
      }),
  };
};

const traceparent = `00-${TRACE}-${CALLER}-01`;

describe('tracing with a collector', () => {
  it.each([
    ['API and worker on Redis', ['api', 'worker']],
    ['dev with the embedded queue', ['dev', 'dev']],
  ])('%s → one trace from the request to SEEK', async (_, [first = '', second = '']) => {
    const collector = await startCollector();
    const onRedis: Env = first === 'api' ? { REDIS_URL: redis.url } : {};
    const { start } = await setup({ ...toCollector(collector), ...onRedis }, { answers: [html()] });
    const api = start(first);
    const worker = second === first ? api : start(second);
    const url = await api.waitForOutput(/(?:"url":"|API {5})(http:[^" ]+)/);
    const { send, until } = client(url);

    const signalId = await send({ traceparent });
    expect((await until(signalId, 'delivered')).traceId).toBe(TRACE);
    const ended = await Promise.all([...new Set([api, worker])].map((each) => each.end()));

    expect(ended.map(({ code }) => code)).toEqual(ended.map(() => 0));
    const spans = collector.spans.filter(({ traceId }) => traceId === TRACE);
    const named = (name: string) => spans.filter((span) => span.name === name);
    const [server] = named('POST /signals');
    const [sending] = named('send signals');
    const attempts = named('process signals');
    const requests = named('POST');
    expect(spans).toHaveLength(6);
    expect([server?.parentSpanId, sending?.parentSpanId]).toEqual([CALLER, server?.spanId]);
    expect(attempts.map(({ parentSpanId }) => parentSpanId)).toEqual([
      sending?.spanId,
      sending?.spanId,
    ]);
    expect(new Set(requests.map(({ parentSpanId }) => parentSpanId))).toEqual(
      new Set(attempts.map(({ spanId }) => spanId)),
    );
    expect([server, sending].map((span) => span?.service)).toEqual([
      `seek-signals-${first}`,
      `seek-signals-${first}`,
    ]);
    for (const { service } of attempts) expect(service).toBe(`seek-signals-${second}`);
    for (const request of collector.requests) {
      expect(request).toMatchObject({ path: '/v1/traces', apiKey: 'collector-secret' });
    }
    await worker.waitForOutput(
      new RegExp(`"attempt":2,.*"traceId":"${TRACE}".*"msg":"signal.attempted"`),
    );
    expect(api.written.stdout + worker.written.stdout).not.toContain('collector-secret');
    expect(api.written.stderr + worker.written.stderr).toBe('');
  });

  it('without OTEL_EXPORTER_OTLP_PROTOCOL → protobuf', async () => {
    const collector = await startCollector();
    const { start } = await setup({
      REDIS_URL: redis.url,
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/traces`,
    });
    const api = start('api');
    const { send } = client(await api.waitForOutput(/"url":"([^"]+)"/));
    await send();
    await api.end();

    expect(collector.requests).toEqual([
      { path: '/traces', type: 'application/x-protobuf', apiKey: undefined },
    ]);
  });
});

describe('tracing turned off', () => {
  it.each([
    ['no OTEL variable', {}],
    ['OTEL_SDK_DISABLED', { OTEL_SDK_DISABLED: 'true' }],
    ['OTEL_TRACES_EXPORTER=none', { OTEL_TRACES_EXPORTER: 'none' }],
  ])('%s → nothing is exported, and a job holds no trace', async (_, off: Env) => {
    const collector = await startCollector();
    const traced: Env = Object.keys(off).length === 0 ? {} : toCollector(collector);
    const { start } = await setup({ REDIS_URL: redis.url, ...traced, ...off });
    const api = start('api');
    const { send } = client(await api.waitForOutput(/"url":"([^"]+)"/));
    const signalId = await send({ traceparent });
    await api.end();

    const connection = new Redis(redis.url);
    const job = await connection.hgetall(`${PREFIX}:signals:${signalId}`);
    await connection.del(`${PREFIX}:signals:wait`);
    connection.disconnect();
    expect(job.data).toContain('acceptedAt');
    expect(JSON.stringify(job)).not.toContain('trace');
    expect(api.written.stdout).not.toContain('traceId');
    expect(collector.requests).toEqual([]);
  });
});

describe('tracing with a broken collector', () => {
  it.each([
    ['an unreachable collector', async () => ({ url: 'http://127.0.0.1:1' })],
    ['a collector that never responds', () => startCollector({ hangs: true })],
  ])('%s → signals are delivered, and processes end in time', async (_, collect) => {
    const { start } = await setup({ ...toCollector(await collect()), REDIS_URL: redis.url });
    const [api, worker] = [start('api'), start('worker')];
    const { send, until } = client(await api.waitForOutput(/"url":"([^"]+)"/));

    const ids = await Promise.all(Array.from({ length: 20 }, () => send()));
    for (const id of ids) await until(id, 'delivered');
    const ended = await Promise.all([api.end(), worker.end()]);

    expect(ended.map(({ code }) => code)).toEqual([0, 0]);
    // Far below the limit: the last export is abandoned after a second, and the rest closes as usual.
    for (const { ms } of ended) expect(ms).toBeLessThan(3_000 + SLACK_MS);
    for (const { written } of [api, worker]) {
      const warnings = written.stdout.match(/Failed to export traces/g) ?? [];
      expect(warnings).toHaveLength(1);
      expect(written.stdout).not.toMatch(/"level":"error"/);
      expect(written.stderr).toBe('');
    }
  });
});
