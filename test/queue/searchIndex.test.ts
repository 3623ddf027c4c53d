import { Redis } from 'ioredis';
import { openPglite } from '../../src/queue/embedded/pglite.ts';
import { openEmbeddedIndex } from '../../src/queue/embedded/searchIndex.ts';
import { createRedisIndex } from '../../src/queue/redis/searchIndex.ts';
import {
  MAX_PER_SEARCH_KEY,
  type SearchIndex,
  type SearchKey,
  searchKeysOf,
} from '../../src/queue/searchIndex.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';

const TIMES = { keepKeysMs: 60_000, keepRequestsMs: 50_000 };

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

/** A search key that no other test uses. */
const newKey = (kind: SearchKey['kind'] = 'application'): SearchKey => {
  values += 1;
  return { kind, value: `naïve/${values}` };
};
const newRequest = (): string => {
  values += 1;
  return `request-${values}`;
};

describe.each<{ what: string; open: () => Promise<SearchIndex> }>([
  {
    what: 'Redis',
    open: async () => createRedisIndex({ client, prefix: '{i}', ...TIMES, now: () => now }),
  },
  {
    what: 'the embedded queue',
    open: () => openEmbeddedIndex({ database, ...TIMES, now: () => now }),
  },
])('the search index in $what', ({ open }) => {
  it('a signal indexed twice under a search key → found once, newest first', async () => {
    const index = await open();
    const [searchKey, other] = [newKey(), newKey()];

    await index.indexSignals([
      { ...searchKey, signalId: 'a' },
      { ...other, signalId: 'b' },
    ]);
    now += 1;
    await index.indexSignals([{ ...searchKey, signalId: 'c' }]);
    now += 1;
    await index.indexSignals([{ ...searchKey, signalId: 'a' }]);

    expect(await index.find(searchKey)).toEqual(['a', 'c']);
    expect(await index.find(other)).toEqual(['b']);
  });

  it('an application and a position of the same value → distinct search keys', async () => {
    const index = await open();
    const searchKey = newKey('application');
    await index.indexSignals([{ ...searchKey, signalId: 'a' }]);

    expect(await index.find({ ...searchKey, kind: 'position' })).toEqual([]);
  });

  it('more signals than the maximum under a search key → the oldest is dropped', async () => {
    const index = await open();
    const searchKey = newKey();
    await index.indexSignals([{ ...searchKey, signalId: 'oldest' }]);
    now += 1;
    await index.indexSignals(
      Array.from({ length: MAX_PER_SEARCH_KEY }, (_, n) => ({ ...searchKey, signalId: `s-${n}` })),
    );

    const found = await index.find(searchKey);

    expect(new Set(found).size).toBe(MAX_PER_SEARCH_KEY);
    expect(found).not.toContain('oldest');
  });

  it('a removed search key → finds nothing', async () => {
    const index = await open();
    const searchKey = newKey();
    await index.indexSignals([{ ...searchKey, signalId: 'a' }]);

    await index.removeKey(searchKey);

    expect(await index.find(searchKey)).toEqual([]);
  });

  it('a request with two signals → finds both', async () => {
    const index = await open();
    const [requestId, other] = [newRequest(), newRequest()];

    await index.indexRequests(
      [
        { requestId, signalIds: ['a', 'b'] },
        { requestId: other, signalIds: ['a'] },
      ],
      100,
    );

    expect((await index.findByRequest(requestId)).toSorted()).toEqual(['a', 'b']);
    expect(await index.findByRequest(other)).toEqual(['a']);
    expect(await index.findByRequest(newRequest())).toEqual([]);
  });
});

describe('the expiry of the search index in Redis', () => {
  it('95 requests, 10 to keep → keeps the last 10 to 20', async () => {
    const index = createRedisIndex({ client, prefix: '{bounded}', ...TIMES });
    const requests = Array.from({ length: 95 }, newRequest);
    for (const requestId of requests) {
      await index.indexRequests([{ requestId, signalIds: [`of-${requestId}`] }], 10);
    }

    const found = await Promise.all(requests.map(index.findByRequest));

    const kept = found.filter(({ length }) => length > 0).length;
    expect(kept).toBe(15);
    expect(found.slice(-15).flat()).toEqual(requests.slice(-15).map((id) => `of-${id}`));
  });

  it('every key → has a time to live', async () => {
    const index = createRedisIndex({ client, prefix: '{timed}', ...TIMES });
    await index.indexSignals([{ ...newKey(), signalId: 'a' }]);
    await index.indexRequests([{ requestId: newRequest(), signalIds: ['a'] }], 1);
    await index.indexRequests([{ requestId: newRequest(), signalIds: ['a'] }], 2);

    const keys = await client.keys('{timed}:*');
    const left = await Promise.all(keys.map((key) => client.pttl(key)));

    expect(keys).toHaveLength(3);
    expect(left.every((ms) => ms > 40_000 && ms <= 60_000)).toBe(true);
  });
});

describe('the search keys of a signal', () => {
  it.each([
    { signal: { applicationId: 'a' }, searchKeys: [{ kind: 'application', value: 'a' }] },
    {
      signal: { positionProfileIds: ['p', 'q'] },
      searchKeys: [
        { kind: 'position', value: 'p' },
        { kind: 'position', value: 'q' },
      ],
    },
    { signal: { token: 't' }, searchKeys: [] },
    { signal: { applicationId: 7, positionProfileIds: 'p' }, searchKeys: [] },
    { signal: null, searchKeys: [] },
  ])('$signal → $searchKeys', ({ signal, searchKeys }) => {
    expect(searchKeysOf(signal)).toEqual(searchKeys);
  });

  it('5,000 positions → the first 20 are search keys', () => {
    const positionProfileIds = Array.from({ length: 5_000 }, (_, n) => `p-${n}`);
    expect(searchKeysOf({ positionProfileIds })).toHaveLength(20);
  });
});
