import { Redis } from 'ioredis';
import { openKeyValueStore } from '../../src/queue/embedded/keyValueStore.ts';
import { openPglite } from '../../src/queue/embedded/pglite.ts';
import { createSearchIndex } from '../../src/queue/embedded/searchIndex.ts';
import { createRedisIndex } from '../../src/queue/redis/searchIndex.ts';
import {
  MOST_OF_A_TRAIT,
  type SignalIndex,
  type Trait,
  traitsOf,
} from '../../src/queue/searchIndex.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';

const TIMES = { keepTraitsMs: 60_000, keepRequestsMs: 50_000 };

let redis: RedisServer;
let client: Redis;
let database: Awaited<ReturnType<typeof openPglite>>;
let values = 0;
let now = 1_000_000;

beforeAll(async () => {
  [redis, database] = await Promise.all([startRedis(), openPglite(undefined)]);
  client = new Redis(redis.url);
});
afterAll(async () => {
  client.disconnect();
  await Promise.all([redis.stop(), database.close()]);
});

/** One that nobody else has looked for. */
const newTrait = (kind: Trait['kind'] = 'application'): Trait => {
  values += 1;
  return { kind, value: `naïve/${values}` };
};
const newRequest = (): string => {
  values += 1;
  return `request-${values}`;
};

describe.each<{ what: string; open: () => Promise<SignalIndex> }>([
  {
    what: 'Redis',
    open: async () => createRedisIndex({ client, prefix: '{i}', ...TIMES, now: () => now }),
  },
  {
    what: 'the embedded queue',
    open: async () => {
      const store = await openKeyValueStore(database, () => now);
      return createSearchIndex({ store, ...TIMES, now: () => now });
    },
  },
])('the index in $what', ({ open }) => {
  it('finds what was noted under a trait, the newest first, each once', async () => {
    const index = await open();
    const [trait, other] = [newTrait(), newTrait()];

    await index.note([
      { ...trait, signalId: 'a' },
      { ...other, signalId: 'b' },
    ]);
    now += 1;
    await index.note([{ ...trait, signalId: 'c' }]);
    now += 1;
    await index.note([{ ...trait, signalId: 'a' }]);

    expect(await index.find(trait)).toEqual(['a', 'c']);
    expect(await index.find(other)).toEqual(['b']);
  });

  it('takes no application for a position of the same name', async () => {
    const index = await open();
    const trait = newTrait('application');
    await index.note([{ ...trait, signalId: 'a' }]);

    expect(await index.find({ ...trait, kind: 'position' })).toEqual([]);
  });

  it('finds so many of a trait, and not the oldest', async () => {
    const index = await open();
    const trait = newTrait();
    await index.note([{ ...trait, signalId: 'oldest' }]);
    now += 1;
    await index.note(
      Array.from({ length: MOST_OF_A_TRAIT }, (_, n) => ({ ...trait, signalId: `s-${n}` })),
    );

    const found = await index.find(trait);

    expect(new Set(found).size).toBe(MOST_OF_A_TRAIT);
    expect(found).not.toContain('oldest');
  });

  it('forgets a trait', async () => {
    const index = await open();
    const trait = newTrait();
    await index.note([{ ...trait, signalId: 'a' }]);

    await index.forget(trait);

    expect(await index.find(trait)).toEqual([]);
  });

  it('finds all signals of a request', async () => {
    const index = await open();
    const [requestId, other] = [newRequest(), newRequest()];

    await index.noteRequests(
      [
        { requestId, signalIds: ['a', 'b'] },
        { requestId: other, signalIds: ['a'] },
      ],
      100,
    );

    expect((await index.findRequest(requestId)).toSorted()).toEqual(['a', 'b']);
    expect(await index.findRequest(other)).toEqual(['a']);
    expect(await index.findRequest(newRequest())).toEqual([]);
  });
});

describe('the index in Redis', () => {
  it('keeps the requests of at least so many signals, and of twice as many at most', async () => {
    const index = createRedisIndex({ client, prefix: '{bounded}', ...TIMES });
    const requests = Array.from({ length: 95 }, newRequest);
    for (const requestId of requests) {
      await index.noteRequests([{ requestId, signalIds: [`of-${requestId}`] }], 10);
    }

    const found = await Promise.all(requests.map(index.findRequest));

    const kept = found.filter(({ length }) => length > 0).length;
    expect(kept).toBe(15);
    expect(found.slice(-15).flat()).toEqual(requests.slice(-15).map((id) => `of-${id}`));
  });

  it('lets everything go in its time', async () => {
    const index = createRedisIndex({ client, prefix: '{timed}', ...TIMES });
    await index.note([{ ...newTrait(), signalId: 'a' }]);
    await index.noteRequests([{ requestId: newRequest(), signalIds: ['a'] }], 1);
    await index.noteRequests([{ requestId: newRequest(), signalIds: ['a'] }], 2);

    const keys = await client.keys('{timed}:*');
    const left = await Promise.all(keys.map((key) => client.pttl(key)));

    expect(keys).toHaveLength(3);
    expect(left.every((ms) => ms > 40_000 && ms <= 60_000)).toBe(true);
  });
});

describe('the traits of a signal', () => {
  it.each([
    { signal: { applicationId: 'a' }, traits: [{ kind: 'application', value: 'a' }] },
    {
      signal: { positionProfileIds: ['p', 'q'] },
      traits: [
        { kind: 'position', value: 'p' },
        { kind: 'position', value: 'q' },
      ],
    },
    { signal: { token: 't' }, traits: [] },
    { signal: { applicationId: 7, positionProfileIds: 'p' }, traits: [] },
    { signal: null, traits: [] },
  ])('of $signal', ({ signal, traits }) => {
    expect(traitsOf(signal)).toEqual(traits);
  });

  it('are no more than somebody will look for', () => {
    const positionProfileIds = Array.from({ length: 5_000 }, (_, n) => `p-${n}`);
    expect(traitsOf({ positionProfileIds })).toHaveLength(20);
  });
});
