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

// What callers are promised, and the time that it takes to notice on a busy machine.
const PROMISED_MS = 5_000;

const complete = (token = newToken()) => buildApplicationComplete({ token });

const { closing } = closeAfterEach();

const closeInTime = (producer: Producer): Promise<void> =>
  withDeadline(producer.close(), 3_000 + SLACK_MS, () => new Error('close() hangs'));

/** On a Redis of its own, which the test may mistreat. */
const setup = async (options: Parameters<typeof startDispatcher>[1] = {}, given?: RedisServer) => {
  const redis = given ?? (await startRedis());
  if (given === undefined) closing.push(redis.stop);
  const platform: Platform = {
    open: (config, profile, logger) =>
      openRedis({ ...queueOptions(config), url: redis.url, profile, logger }),
    ...{ clear: async () => {}, stop: redis.stop },
  };
  const dispatcher = await startDispatcher(platform, options);
  closing.push(dispatcher.stop);
  const producer = createProducer({ redisUrl: redis.url });
  closing.push(() => closeInTime(producer));
  return { ...dispatcher, redis, producer };
};

/** With next to none, all that adds is refused; what is stored stays. */
const setMaxMemory = async ({ url }: RedisServer, most: string): Promise<void> => {
  const client = new Redis(url);
  await client.config('SET', 'maxmemory', most);
  client.disconnect();
};

const timed = async <T>(work: Promise<T>) => {
  const began = performance.now();
  const result = await work.catch((err: Error) => err);
  return { result, ms: performance.now() - began };
};

const setupAway = async () => {
  const redis = await startRedis(await freePort());
  closing.push(redis.stop);
  await redis.kill();
  return setup({ workers: 0 }, redis);
};

describe.each([
  {
    lastError: 'is frozen',
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
    lastError: 'has been killed',
    begin: async () => {
      const subject = await setup({ workers: 0 });
      await subject.producer.enqueue({ typeCode: 'ApplicationComplete', token: newToken() });
      await subject.redis.kill();
      return subject;
    },
    end: (redis: RedisServer) => redis.restart(),
  },
  {
    lastError: 'was away from the very start',
    begin: setupAway,
    end: (redis: RedisServer) => redis.restart(),
  },
  {
    lastError: 'is full',
    says: /Redis is out of memory/,
    begin: async () => {
      const subject = await setup({ workers: 0 });
      await setMaxMemory(subject.redis, '1mb');
      return subject;
    },
    end: (redis: RedisServer) => setMaxMemory(redis, '0'),
  },
])('a producer whose Redis $trouble', ({ begin, end, says = /did not answer in time/ }) => {
  it('says so in time, by the library and over HTTP, and works again by itself', async () => {
    const { producer, redis, call, find, status } = await begin();
    const [own, many, overHttp] = [complete(), complete(), complete()];
    const signalOf = ({ token }: { token?: string }) => ({
      ...{ typeCode: 'ApplicationComplete' as const, token: token ?? '' },
    });

    const [one, batch, answer] = await Promise.all([
      timed(producer.enqueue(signalOf(own))),
      timed(producer.enqueueMany([signalOf(many)])),
      timed(call('POST', '/signals', overHttp)),
    ]);

    expect(one.result).toMatchObject({
      name: 'QueueUnavailableError',
      message: expect.stringMatching(says),
    });
    expect(batch.result).toMatchObject({ name: 'QueueUnavailableError' });
    expect(answer.result).toMatchObject({ status: 503 });
    expect('headers' in answer.result && answer.result.headers.get('retry-after')).toBe('5');
    for (const { ms } of [one, batch, answer]) expect(ms).toBeLessThan(PROMISED_MS + SLACK_MS);

    await end(redis);
    const accepted = await waitFor(() => producer.enqueue(signalOf(own)).catch(() => undefined));
    const again = await waitFor(async () => {
      const taken = await call('POST', '/signals', overHttp);
      const body: Accepted = JSON.parse(await taken.text());
      return taken.status === 202 && body;
    });

    expect(await find(accepted.signalId)).toMatchObject({ state: 'waiting' });
    expect(await find(again.signalId)).toMatchObject({ state: 'waiting' });
    expect((await status()).oldestUnsent).toBeDefined();
  });
});

describe('a producer', () => {
  it('closes in time though its Redis was never there', async () => {
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
    ['was killed and restarted', async (redis: RedisServer) => redis.restart()],
    [
      'froze for as long as callers notice',
      async (redis: RedisServer, isTaken: () => Promise<boolean>) => {
        redis.freeze();
        await waitFor(async () => !(await isTaken()));
        redis.thaw();
      },
    ],
  ])('go on by themselves when Redis %s, and nothing accepted is missing', async (_, hurt) => {
    const { seek, redis, call, send, find, deadLetters } = await setup({
      workers: 2,
      env: { WORKER_CONCURRENCY: '10' },
      answers: (_request, number) => (number % 10 === 0 ? refused('FORBIDDEN') : delivered()),
    });
    const accepted = new Map<string, string>();
    const offer = async (): Promise<boolean> => {
      const token = newToken();
      const answer = await call('POST', '/signals', complete(token));
      if (answer.status !== 202) return false;
      const { signalId }: Accepted = JSON.parse(await answer.text());
      accepted.set(signalId, token);
      return true;
    };
    const offering = (async () => {
      for (let round = 0; round < 40; round += 1)
        await Promise.all(Array.from({ length: 10 }, offer));
    })();

    await waitFor(() => accepted.size > 100);
    await hurt(redis, offer);
    await offering;
    const { signalId } = await send(complete());
    await waitFor(async () => ['delivered', 'dead'].includes((await find(signalId))?.state ?? ''));

    const places = new Map<string, string>();
    for (const id of accepted.keys()) {
      // One that a worker held when Redis died stays active until its lock runs out.
      const state = await waitFor(
        async () => {
          const record = await find(id);
          return ['delivered', 'dead', 'active'].includes(record?.state ?? '') && record?.state;
        },
        { what: `${id} to be settled` },
      );
      places.set(id, state);
    }
    const arrived = new Set(
      seek.requests.map(({ text }) => JSON.parse(text).variables.input.token),
    );
    const deadLettered = new Set(
      (await deadLetters('?limit=1000')).map((deadLetter) => deadLetter.signalId),
    );
    for (const [id, state] of places) {
      if (state === 'delivered') expect(arrived).toContain(accepted.get(id));
      if (state === 'dead') expect(deadLettered).toContain(id);
    }
    expect(deadLettered.size).toBeGreaterThan(0);
    expect([...places.values()].filter((state) => state === 'active').length).toBeLessThanOrEqual(
      20,
    );
  });
});
