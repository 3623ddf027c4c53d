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

describe.each(PLATFORMS)('accepting a signal on $name', ({ start }) => {
  const { setup } = usePlatform(start);

  it('discards or redrives a letter of which both are asked at once, never both', async () => {
    const dispatcher = await setup({
      answers: Array.from({ length: 15 }, () => refused('FORBIDDEN')),
    });
    const { sendAll, call, redrive, until, untilBuried, seek } = dispatcher;
    const signals = Array.from({ length: 15 }, () => complete());
    const ids = (await sendAll(signals)).map(({ signalId }) => signalId);
    for (const id of ids) await untilBuried(id);

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

describe('accepting a signal that is forgotten soon, on Redis', () => {
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
  const forgotten = ({ backend }: Dispatcher, id: string) =>
    waitFor(async () => (await backend.bookkeeping.findDedupeRecord(id)) === undefined, {
      what: 'forgetting',
    });
  const key = { 'idempotency-key': 'order-1' };

  it.each([
    { lying: 'waits in the queue', workers: 0, rest: 'waiting' as const },
    { lying: 'lies in the dead letters', workers: 1, rest: 'dead' as const },
  ])('refuses other content under a key whose signal $lying', async ({ workers, rest }) => {
    const dispatcher = await setup({ workers, answers: [refused('FORBIDDEN')] });
    const { send, call, until } = dispatcher;
    const [first, other] = [complete(), complete()];
    const { signalId } = await send(first, key);
    await until(signalId, rest);
    await forgotten(dispatcher, signalId);

    expect((await call('POST', '/signals', other, key)).status).toBe(409);
    expect((await call('POST', '/signals', other, key)).status).toBe(409);
    expect(await send(first, key)).toEqual({ signalId, duplicate: true, state: rest });
  });

  it('takes a delivered signal as new once it is forgotten, though it can still be looked up', async () => {
    const dispatcher = await setup({ answers: [delivered(), delivered()] });
    const { send, until, seek } = dispatcher;
    const signal = complete();
    const { signalId } = await send(signal);
    await until(signalId, 'delivered');
    await forgotten(dispatcher, signalId);

    expect(await send(signal)).toMatchObject({ signalId, duplicate: false });
    await waitFor(() => seek.inputs().length === 2, { what: 'the second arrival' });
  });

  it('calls one that waits for its burial dead, however old it is', async () => {
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

  it('calls a discarded signal skipped as long as it is remembered', async () => {
    const { send, call, untilBuried } = await setup({
      answers: [refused('FORBIDDEN')],
      env: { DEDUPE_WINDOW_MS: '60000', KEEP_DELIVERED_MS: '1' },
    });
    const signal = complete();
    const { signalId } = await send(signal);
    await untilBuried(signalId);
    await call('DELETE', `/dead-letters/${signalId}?reason=test`);

    expect(await send(signal)).toEqual({ signalId, duplicate: true, state: 'skipped' });
  });
});

describe('what somebody else did to Redis', () => {
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

  it('keeps no token in the error that the caller is given', async () => {
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

  it('does not keep a failed signal from its burial, nor show what could not be parsed', async () => {
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
    await waitFor(async () => (await deadLetters()).length === 1, { what: 'the burial' });
    await stop();

    expect(logs.text()).not.toContain('a-secret');
  });
});

describe('a body over HTTP', () => {
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

  it('may come in chunks', async () => {
    const body = inChunks('{"typeCode":"Application', `Complete","token":"${newToken()}"}`);

    expect((await post('/signals', body)).status).toBe(202);
  });

  it('is measured as it comes', async () => {
    const body = inChunks(...Array.from({ length: 20 }, () => ' '.repeat(64 * 1024)));

    expect((await post('/signals', body)).status).toBe(413);
  });

  it('that is missing is no JSON', async () => {
    expect((await post('/signals')).status).toBe(400);
    expect((await post('/signals/batch')).status).toBe(400);
  });

  it('may be left out where a filter is in the query', async () => {
    expect((await post('/dead-letters/redrive?limit=1')).status).toBe(202);
  });
});
