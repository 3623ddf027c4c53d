import { Redis } from 'ioredis';
import { queueOptions } from '../../src/cli/processes/service.ts';
import { createProducer, type Producer } from '../../src/index.ts';
import { openRedis } from '../../src/queue/redis/openRedis.ts';
import { withDeadline } from '../../src/runtime/async.ts';
import { buildApplicationComplete } from '../support/buildSignal.ts';
import { closeAfterEach } from '../support/closeAfterEach.ts';
import { SLACK_MS } from '../support/inTime.ts';
import type { Platform } from '../support/platforms.ts';
import { freePort, type RedisServer, startRedis } from '../support/redisServer.ts';
import { delivered, refused } from '../support/scriptedSeek.ts';
import { type Accepted, newToken, startDispatcher } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

// The producer's promise to its callers. `SLACK_MS` comes on top for a busy machine.
const ANSWER_TIMEOUT_MS = 5_000;

const complete = (token = newToken()) => buildApplicationComplete({ token });

const { closing } = closeAfterEach();

const closeInTime = (producer: Producer): Promise<void> =>
  withDeadline(
    producer.close(),
    3_000 + SLACK_MS,
    () => new Error('close() did not return in time'),
  );

/** Starts a dispatcher and a producer on a Redis of their own, which the test can disturb. */
const setup = async (options: Parameters<typeof startDispatcher>[1] = {}, given?: RedisServer) => {
  const redis = given ?? (await startRedis());
  if (given === undefined) closing.push(redis.stop);
  const platform: Platform = {
    open: (config, profile, logger) =>
      openRedis({ ...queueOptions(config), url: redis.url, profile, logger }),
    clear: async () => {},
    stop: redis.stop,
  };
  const dispatcher = await startDispatcher(platform, options);
  closing.push(dispatcher.stop);
  const producer = createProducer({ redisUrl: redis.url });
  closing.push(() => closeInTime(producer));
  return { ...dispatcher, redis, producer };
};

/** With a small limit, Redis rejects every write that needs memory, and keeps what it has stored. */
const setMaxMemory = async ({ url }: RedisServer, limit: string): Promise<void> => {
  const client = new Redis(url);
  await client.config('SET', 'maxmemory', limit);
  client.disconnect();
};

const timed = async <T>(work: Promise<T>) => {
  const began = performance.now();
  const result = await work.catch((err: Error) => err);
  return { result, ms: performance.now() - began };
};

const setupWithoutRedis = async () => {
  const redis = await startRedis(await freePort());
  closing.push(redis.stop);
  await redis.kill();
  return setup({ workers: 0 }, redis);
};

describe.each([
  {
    outage: 'is frozen',
    begin: async () => {
      const subject = await setup({ workers: 0 });
      await subject.producer.enqueue({ typeCode: 'ApplicationComplete', token: newToken() });
      subject.redis.freeze();
      return subject;
    },
    end: async (redis: RedisServer) => {
      redis.thaw();
    },
  },
  {
    outage: 'is killed',
    message: /is not reachable/,
    begin: async () => {
      const subject = await setup({ workers: 0 });
      await subject.producer.enqueue({ typeCode: 'ApplicationComplete', token: newToken() });
      await subject.redis.kill();
      return subject;
    },
    end: (redis: RedisServer) => redis.restart(),
  },
  {
    outage: 'was never there',
    message: /is not reachable: .*ECONNREFUSED/,
    begin: setupWithoutRedis,
    end: (redis: RedisServer) => redis.restart(),
  },
  {
    outage: 'is out of memory',
    message: /Redis is out of memory/,
    begin: async () => {
      const subject = await setup({ workers: 0 });
      await setMaxMemory(subject.redis, '100kb');
      return subject;
    },
    end: (redis: RedisServer) => setMaxMemory(redis, '0'),
  },
])('a producer whose Redis $outage', ({ begin, end, message = /did not answer in time/ }) => {
  it('rejects in time in the library and over HTTP, and accepts signals again after the outage', async () => {
    const { producer, redis, call, find, status } = await begin();
    const inLibrary = complete();
    const inBatch = complete();
    const overHttp = complete();
    const signalOf = ({ token }: { token?: string }) => ({
      typeCode: 'ApplicationComplete' as const,
      token: token ?? '',
    });

    const [one, batch, answer] = await Promise.all([
      timed(producer.enqueue(signalOf(inLibrary))),
      timed(producer.enqueueMany([signalOf(inBatch)])),
      timed(call('POST', '/signals', overHttp)),
    ]);

    expect(one.result).toMatchObject({
      name: 'QueueUnavailableError',
      message: expect.stringMatching(message),
    });
    expect(batch.result).toMatchObject({ name: 'QueueUnavailableError' });
    expect(answer.result).toMatchObject({ status: 503 });
    expect('headers' in answer.result && answer.result.headers.get('retry-after')).toBe('5');
    for (const { ms } of [one, batch, answer])
      expect(ms).toBeLessThan(ANSWER_TIMEOUT_MS + SLACK_MS);

    await end(redis);
    const accepted = await waitFor(() =>
      producer.enqueue(signalOf(inLibrary)).catch(() => undefined),
    );
    const again = await waitFor(async () => {
      const repeated = await call('POST', '/signals', overHttp);
      const body: Accepted = JSON.parse(await repeated.text());
      return repeated.status === 202 && body;
    });

    expect(await find(accepted.signalId)).toMatchObject({ state: 'waiting' });
    expect(await find(again.signalId)).toMatchObject({ state: 'waiting' });
    expect((await status()).oldestUnsent).toBeDefined();
  });
});

describe('a producer', () => {
  it('closes in time when its Redis was never there', async () => {
    const producer = createProducer({ redisUrl: `redis://127.0.0.1:${await freePort()}` });
    await expect(
      producer.enqueue({ typeCode: 'ApplicationComplete', token: newToken() }),
    ).rejects.toMatchObject({ name: 'QueueUnavailableError' });

    await expect(closeInTime(producer)).resolves.toBeUndefined();
  });

  it('closes in time while its Redis is frozen', async () => {
    const { redis, producer } = await setup({ workers: 0 });
    await producer.enqueue({ typeCode: 'ApplicationComplete', token: newToken() });
    redis.freeze();

    await expect(closeInTime(producer)).resolves.toBeUndefined();
    redis.thaw();
  });
});

describe('workers', () => {
  it.each([
    ['is killed and restarted', async (redis: RedisServer) => redis.restart()],
    [
      'is frozen until the API rejects a signal',
      async (redis: RedisServer, isAccepted: () => Promise<boolean>) => {
        redis.freeze();
        await waitFor(async () => !(await isAccepted()));
        redis.thaw();
      },
    ],
  ])('continue when Redis %s, and lose no accepted signal', async (_, interrupt) => {
    const { seek, redis, call, send, find, deadLetters } = await setup({
      workers: 2,
      env: { WORKER_CONCURRENCY: '10' },
      answers: (_request, number) => (number % 10 === 0 ? refused('FORBIDDEN') : delivered()),
    });
    const accepted = new Map<string, string>();
    const enqueueOne = async (): Promise<boolean> => {
      const token = newToken();
      const answer = await call('POST', '/signals', complete(token));
      if (answer.status !== 202) return false;
      const { signalId }: Accepted = JSON.parse(await answer.text());
      accepted.set(signalId, token);
      return true;
    };
    const enqueuing = (async () => {
      for (let round = 0; round < 40; round += 1)
        await Promise.all(Array.from({ length: 10 }, enqueueOne));
    })();

    await waitFor(() => accepted.size > 100);
    await interrupt(redis, enqueueOne);
    await enqueuing;
    const { signalId } = await send(complete());
    await waitFor(async () => ['delivered', 'dead'].includes((await find(signalId))?.state ?? ''));

    const states = new Map<string, string>();
    for (const id of accepted.keys()) {
      // A signal in flight when Redis was killed stays active until its lock expires.
      const state = await waitFor(
        async () => {
          const record = await find(id);
          return ['delivered', 'dead', 'active'].includes(record?.state ?? '') && record?.state;
        },
        { what: `${id} to be delivered, dead or active` },
      );
      states.set(id, state);
    }
    const arrived = new Set(
      seek.requests.map(({ text }) => JSON.parse(text).variables.input.token),
    );
    const deadLettered = new Set(
      (await deadLetters('?limit=1000')).map((deadLetter) => deadLetter.signalId),
    );
    for (const [id, state] of states) {
      if (state === 'delivered') expect(arrived).toContain(accepted.get(id));
      if (state === 'dead') expect(deadLettered).toContain(id);
    }
    expect(deadLettered.size).toBeGreaterThan(0);
    expect([...states.values()].filter((state) => state === 'active').length).toBeLessThanOrEqual(
      20,
    );
  });
});
