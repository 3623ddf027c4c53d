import { Redis } from 'ioredis';
import type { BreakerState, BreakerStore } from '../../src/queue/breakerState.ts';
import { createMemoryBreakerStore } from '../../src/queue/embedded/breakerStore.ts';
import { createRedisBreakerStore } from '../../src/queue/redis/breakerStore.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';

const OPEN: BreakerState = {
  open: { since: 1, code: 'HTTP_503', reason: 'naïve 😀 "quoted"', pauses: 1, until: 2 },
};
const THROTTLED: BreakerState = { throttle: { perSecond: 12.5, at: 3 } };

let redis: RedisServer;
let client: Redis;
let stores = 0;

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url);
});
afterAll(async () => {
  client.disconnect();
  await redis.stop();
});

const newPrefix = () => {
  stores += 1;
  return `breaker-${stores}`;
};

describe.each<{ what: string; create: () => BreakerStore }>([
  { what: 'memory', create: () => createMemoryBreakerStore() },
  { what: 'Redis', create: () => createRedisBreakerStore(client, newPrefix()) },
])('the breaker store in $what', ({ create }) => {
  const setup = () => {
    const store = create();
    return {
      store,
      /** Replaces any state. */
      put: async (state: BreakerState) => store.replace((await store.read()).version, state),
      /**
       * Reserves slots at once, and returns them in order. The slot comes `waitMs` after a time between
       * the call and its answer, so its exact time is between `from` and `to`.
       */
      reserveSlots: async (count: number, perSecond: number) => {
        const slots = await Promise.all(
          Array.from({ length: count }, async () => {
            const calledAt = performance.now();
            const waitMs = await store.reserveSlot(perSecond);
            return {
              waitMs,
              calledAt,
              from: calledAt + waitMs - 1,
              to: performance.now() + waitMs + 1,
            };
          }),
        );
        return slots.toSorted((a, b) => a.waitMs - b.waitMs);
      },
    };
  };

  it('rates of several workers → are summed, the newest of each', async () => {
    const { store, put } = setup();
    expect((await store.read()).perSecond).toBe(0);

    await store.read({ by: 'a', perSecond: 500 });
    await store.read({ by: 'b', perSecond: 30 });

    expect((await store.read({ by: 'a', perSecond: 20 })).perSecond).toBe(50);
    await put(OPEN);
    expect(await store.read()).toMatchObject({ state: OPEN, perSecond: 50 });
  });

  it('starts with a closed breaker', async () => {
    expect((await setup().store.read()).state).toEqual({});
  });

  it('returns the current time with the state', async () => {
    const before = Date.now();
    const { now } = await setup().store.read();

    expect(now).toBeGreaterThanOrEqual(before - 1);
    expect(now).toBeLessThanOrEqual(Date.now() + 1);
  });

  it('returns the state that was written last', async () => {
    const { store, put } = setup();

    for (const state of [OPEN, THROTTLED, { ...OPEN, ...THROTTLED }, {}]) {
      await expect(put(state)).resolves.toBe(true);
      expect((await store.read()).state).toEqual(state);
    }
  });

  it('writes nothing if the state has changed since it was read', async () => {
    const { store, put } = setup();
    const { version } = await store.read();
    await put(OPEN);

    await expect(store.replace(version, THROTTLED)).resolves.toBe(false);

    expect((await store.read()).state).toEqual(OPEN);
  });

  it('accepts one of many writes at once', async () => {
    const { store } = setup();
    const { version } = await store.read();

    const written = await Promise.all(
      Array.from({ length: 10 }, (_, at) =>
        store.replace(version, { throttle: { perSecond: 1, at } }),
      ),
    );

    expect(written.filter(Boolean)).toHaveLength(1);
    expect((await store.read()).state.throttle?.at).toBe(written.indexOf(true));
  });

  it('reserves the first slot at once', async () => {
    await expect(setup().store.reserveSlot(10)).resolves.toBe(0);
  });

  it.each([
    { perSecond: 10, count: 3, apartMs: 100 },
    { perSecond: 50, count: 10, apartMs: 20 },
    { perSecond: 1_000, count: 150, apartMs: 1 },
  ])('reserves $perSecond slots per second when many calls come at once', async (row) => {
    const { reserveSlots } = setup();
    const startedAt = performance.now();

    const slots = await reserveSlots(row.count, row.perSecond);

    // A call that is answered late waits less than calls before it, so each bound is sorted on its own.
    const sorted = (bounds: number[]) => bounds.toSorted((a, b) => a - b);
    for (const [number, to] of sorted(slots.map((slot) => slot.to)).entries()) {
      // Never before its time, and later only by the duration of the call.
      expect(to - startedAt).toBeGreaterThanOrEqual(number * row.apartMs);
    }
    for (const [number, from] of sorted(slots.map((slot) => slot.from)).entries()) {
      expect(from - performance.now()).toBeLessThanOrEqual(number * row.apartMs);
    }
  });

  it('reserves no slot twice', async () => {
    const { reserveSlots } = setup();

    const slots = await reserveSlots(3, 10);

    for (const [number, { to }] of slots.entries()) {
      expect(to - (slots[number - 1]?.from ?? Number.NEGATIVE_INFINITY)).toBeGreaterThan(99);
    }
  });

  it('reserves no slot more than 200 ms ahead, and returns when to call again', async () => {
    const { store } = setup();
    await store.reserveSlot(0.1);

    const waits = [await store.reserveSlot(0.1), await store.reserveSlot(0.1)];

    // The slots are ten seconds apart, less the duration of the calls. The first call reserves nothing.
    for (const waitMs of waits) {
      expect(waitMs).toBeGreaterThanOrEqual(-9_800);
      expect(waitMs).toBeLessThan(-1_000);
    }
  });

  it('places the slot after each call by the rate of that call', async () => {
    const { reserveSlots } = setup();

    const [first] = await reserveSlots(1, 10);
    const [second] = await reserveSlots(1, 50);
    const [third] = await reserveSlots(1, 50);

    expect(second?.to).toBeGreaterThan((first?.from ?? 0) + 99);
    expect(third?.to).toBeGreaterThan((second?.from ?? 0) + 19);
    // A slot whose time has passed before the call comes at once.
    const latest = Math.max((second?.to ?? 0) + 21, third?.calledAt ?? 0);
    expect(third?.from).toBeLessThan(latest);
  });

  it('does not save up unused slots', async () => {
    const { store, reserveSlots } = setup();
    await store.reserveSlot(1_000);
    await new Promise(setImmediate);

    const [first, second] = await reserveSlots(2, 10);

    expect(first?.waitMs).toBeLessThanOrEqual(1);
    expect(second?.to).toBeGreaterThan((first?.from ?? 0) + 99);
  });

  it('does not change the version of the state when a slot is reserved', async () => {
    const { store, put } = setup();
    await put(OPEN);
    const { version } = await store.read();

    await store.reserveSlot(1);

    await expect(store.replace(version, THROTTLED)).resolves.toBe(true);
  });
});

describe('the breaker store in Redis', () => {
  const setup = () => {
    const prefix = newPrefix();
    return {
      store: createRedisBreakerStore(client, prefix),
      key: `${prefix}:circuit-breaker`,
      prefix,
    };
  };

  it.each(['garbage', '{"open":true}', '[1]', 'null'])(
    'reads %s as a closed breaker, and can replace it',
    async (text) => {
      const { store, key } = setup();
      await client.set(key, text);

      const { state, version } = await store.read();
      expect(state).toEqual({});
      await expect(store.replace(version, OPEN)).resolves.toBe(true);

      expect((await store.read()).state).toEqual(OPEN);
    },
  );

  it('can replace bytes that are not UTF-8', async () => {
    const { store, key } = setup();
    await client.set(key, Buffer.from([0xff, 0xfe]));

    const { version } = await store.read();

    await expect(store.replace(version, OPEN)).resolves.toBe(true);
  });

  it('is shared by all stores with the same prefix, and by no others', async () => {
    const { store, prefix } = setup();
    const [same, other] = [
      createRedisBreakerStore(client, prefix),
      createRedisBreakerStore(client, newPrefix()),
    ];

    await store.replace('', OPEN);
    await store.reserveSlot(0.1);

    expect((await same.read()).state).toEqual(OPEN);
    await expect(same.reserveSlot(0.1)).resolves.toBeLessThan(-9_000);
    expect((await other.read()).state).toEqual({});
    await expect(other.reserveSlot(0.1)).resolves.toBe(0);
  });

  it('lets the key of slots expire after their time', async () => {
    const { store, key } = setup();

    await store.reserveSlot(10);
    const ttlMs = await client.pttl(`${key}:slots`);

    expect(ttlMs).toBeGreaterThan(0);
    expect(ttlMs).toBeLessThanOrEqual(1_100);
  });

  it('uses the clock of Redis', async () => {
    const [seconds, micros] = await client.time();
    const { now } = await setup().store.read();

    expect(now - (Number(seconds) * 1_000 + Number(micros) / 1_000)).toBeLessThan(1_000);
    expect(Number.isInteger(now)).toBe(true);
  });
});

describe('the breaker store in memory', () => {
  it('uses the clock that it receives', async () => {
    const clock = { now: 1_000 };
    const store = createMemoryBreakerStore(() => clock.now);

    const waits = [await store.reserveSlot(4), await store.reserveSlot(4)];
    clock.now += 50;
    waits.push(await store.reserveSlot(4), await store.reserveSlot(4));
    clock.now += 1_000;
    waits.push(await store.reserveSlot(4));

    expect(waits).toEqual([0, -50, 200, -250, 0]);
    expect((await store.read()).now).toBe(2_050);
  });
});
