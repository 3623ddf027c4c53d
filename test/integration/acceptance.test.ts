import { Redis } from 'ioredis';
import { queueOptions } from '../../src/cli/processes/service.ts';
import { createProducer } from '../../src/index.ts';
import { SIGNALS } from '../../src/queue/backend.ts';
import { openRedis } from '../../src/queue/redis/openRedis.ts';
import { buildApplicationComplete, buildSignalJob } from '../support/buildSignal.ts';
import { onRedis, PLATFORMS, type Platform } from '../support/platforms.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';
import { delivered, refused } from '../support/scriptedSeek.ts';
import { type Dispatcher, newToken, startDispatcher } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';

const complete = (token = newToken()) => buildApplicationComplete({ token });

describe.each(PLATFORMS)('a dead letter on $name', ({ start }) => {
  const { setup } = usePlatform(start);

  it('discard and redrive requested at once → exactly one of them happens', async () => {
    const dispatcher = await setup({
      answers: Array.from({ length: 15 }, () => refused('FORBIDDEN')),
    });
    const { sendAll, call, redrive, until, untilDeadLettered, seek } = dispatcher;
    const signals = Array.from({ length: 15 }, () => complete());
    const ids = (await sendAll(signals)).map(({ signalId }) => signalId);
    for (const id of ids) await untilDeadLettered(id);

    const outcomes = await Promise.all(
      ids.map(async (id) => {
        const [, { status }] = await Promise.all([
          redrive(id),
          call('DELETE', `/dead-letters/${id}`),
        ]);
        return { id, discarded: status === 204 };
      }),
    );

    for (const { id, discarded } of outcomes) await until(id, discarded ? 'skipped' : 'delivered');
    const redriven = outcomes.filter(({ discarded }) => !discarded).length;
    expect(seek.inputs()).toHaveLength(ids.length + redriven);
  });
});

describe('a signal past its dedupe window, on Redis', () => {
  let redis: RedisServer;
  let stop = async () => {};
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterEach(() => stop());
  afterAll(() => redis.stop());

  const setup = async (
    options: Parameters<typeof startDispatcher>[1] = {},
  ): Promise<Dispatcher> => {
    const prefix = `{${newToken()}}`;
    const open: Platform['open'] = (config, profile, logger) =>
      openRedis({ ...queueOptions(config), url: redis.url, prefix, profile, logger });
    const dispatcher = await startDispatcher(
      { open, clear: async () => {}, stop: async () => {} },
      { ...options, env: { DEDUPE_WINDOW_MS: '50', ...options.env } },
    );
    stop = dispatcher.stop;
    return dispatcher;
  };
  const untilPastWindow = ({ backend }: Dispatcher, id: string) =>
    waitFor(async () => (await backend.bookkeeping.findDedupeRecord(id)) === undefined, {
      what: 'the end of the dedupe window',
    });
  const key = { 'idempotency-key': 'order-1' };

  it.each([
    { workers: 0, state: 'waiting' as const },
    { workers: 1, state: 'dead' as const },
  ])(
    'other content under the Idempotency-Key of a signal that is $state → 409',
    async ({ workers, state }) => {
      const dispatcher = await setup({ workers, answers: [refused('FORBIDDEN')] });
      const { send, call, until } = dispatcher;
      const [first, other] = [complete(), complete()];
      const { signalId } = await send(first, key);
      await until(signalId, state);
      await untilPastWindow(dispatcher, signalId);

      expect((await call('POST', '/signals', other, key)).status).toBe(409);
      expect((await call('POST', '/signals', other, key)).status).toBe(409);
      expect(await send(first, key)).toEqual({ signalId, duplicate: true, state });
    },
  );

  it('delivered, and its job still stored → accepted as new', async () => {
    const dispatcher = await setup({ answers: [delivered(), delivered()] });
    const { send, until, seek } = dispatcher;
    const signal = complete();
    const { signalId } = await send(signal);
    await until(signalId, 'delivered');
    await untilPastWindow(dispatcher, signalId);

    expect(await send(signal)).toMatchObject({ signalId, duplicate: false });
    await waitFor(() => seek.inputs().length === 2, { what: 'the second delivery' });
  });

  it('failed, and not moved to the dead letters yet → duplicate, dead', async () => {
    const { send, backend } = await setup({ workers: 0 });
    const signal = complete();
    const { signalId } = await send(signal);
    const { keys } = await backend.bullQueue(SIGNALS);
    const client = new Redis(redis.url);
    await client.eval(
      `redis.call('LREM', KEYS[1], 0, ARGV[1]) redis.call('ZADD', KEYS[2], 2, ARGV[1])
       redis.call('HSET', KEYS[3] .. ARGV[1], 'finishedOn', 2, 'failedReason', 'test', 'timestamp', 1)`,
      ...[3, keys.wait ?? '', keys.failed ?? '', keys[''] ?? '', signalId],
    );
    client.disconnect();

    expect(await send(signal)).toEqual({ signalId, duplicate: true, state: 'dead' });
  });

  it('discarded within its dedupe window → duplicate, skipped', async () => {
    const { send, call, untilDeadLettered } = await setup({
      answers: [refused('FORBIDDEN')],
      env: { DEDUPE_WINDOW_MS: '60000', KEEP_DELIVERED_MS: '1' },
    });
    const signal = complete();
    const { signalId } = await send(signal);
    await untilDeadLettered(signalId);
    await call('DELETE', `/dead-letters/${signalId}?reason=test`);

    expect(await send(signal)).toEqual({ signalId, duplicate: true, state: 'skipped' });
  });
});

describe('Redis was changed by another program', () => {
  let redis: RedisServer;
  let client: Redis;
  beforeAll(async () => {
    redis = await startRedis();
    client = new Redis(redis.url);
  });
  afterAll(async () => {
    client.disconnect();
    await redis.stop();
  });

  it('the waiting list is not a list → the caller’s error holds no token', async () => {
    await client.set('{broken}:signals:wait', 'not a list');
    const producer = createProducer({ redisUrl: redis.url, queuePrefix: '{broken}' });
    const token = newToken();

    const error: Error = await producer.enqueue({ typeCode: 'ApplicationComplete', token }).then(
      () => new Error('accepted'),
      (err) => err,
    );
    await producer.close();

    expect(error).toMatchObject({ name: 'QueueUnavailableError', cause: expect.anything() });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(token);
    expect(JSON.stringify(error.cause)).not.toContain(token);
  });

  it('a failed job is not JSON → other failed signals move to the dead letters, and logs quote nothing of it', async () => {
    const prefix = '{damaged}';
    const open: Platform['open'] = (config, profile, logger) =>
      openRedis({ ...queueOptions(config), url: redis.url, prefix, profile, logger });
    await client.hset(`${prefix}:${SIGNALS}:bad`, {
      data: '{"token":"a-secret',
      name: 'x',
      opts: '{}',
    });
    await client.zadd(`${prefix}:${SIGNALS}:failed`, 1, 'bad');
    const dispatcher = await startDispatcher(
      { open, clear: async () => {}, stop: async () => {} },
      { workers: 0 },
    );
    const { backend, startWorker, deadLetters, logs, stop } = dispatcher;
    const queue = await backend.bullQueue(SIGNALS);
    await queue.add('x', buildSignalJob(), { jobId: 'good', attempts: 1 });
    await client.eval(
      `redis.call('LREM', KEYS[1], 0, 'good') redis.call('ZADD', KEYS[2], 2, 'good')
       redis.call('HSET', KEYS[3], 'finishedOn', 2, 'failedReason', 'test')`,
      3,
      ...['wait', 'failed', 'good'].map((name) => `${prefix}:${SIGNALS}:${name}`),
    );

    await startWorker();
    await waitFor(async () => (await deadLetters()).length === 1, { what: 'the dead letter' });
    await stop();

    expect(logs.text()).not.toContain('a-secret');
  });
});

describe('the body of a request', () => {
  let platform: Platform;
  let dispatcher: Dispatcher;
  beforeAll(async () => {
    platform = await onRedis();
    dispatcher = await startDispatcher(platform, { workers: 0 });
  });
  afterAll(async () => {
    await dispatcher.stop();
    await platform.stop();
  });

  const post = (path: string, body?: ReadableStream) =>
    fetch(`${dispatcher.url}${path}`, {
      method: 'POST',
      headers: { authorization: 'Bearer api-key-of-the-ats' },
      ...(body === undefined ? {} : { body, duplex: 'half' }),
    });
  const inChunks = (...chunks: string[]) =>
    new ReadableStream({
      start: (controller) => {
        for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
        controller.close();
      },
    });

  it('sent in chunks → accepted', async () => {
    const body = inChunks('{"typeCode":"Application', `Complete","token":"${newToken()}"}`);

    expect((await post('/signals', body)).status).toBe(202);
  });

  it('sent in chunks beyond the limit → 413', async () => {
    const body = inChunks(...Array.from({ length: 20 }, () => ' '.repeat(64 * 1024)));

    expect((await post('/signals', body)).status).toBe(413);
  });

  it('missing → 400', async () => {
    expect((await post('/signals')).status).toBe(400);
    expect((await post('/signals/batch')).status).toBe(400);
  });

  it('missing, with a filter in the query → accepted', async () => {
    expect((await post('/dead-letters/redrive?limit=1')).status).toBe(202);
  });
});
