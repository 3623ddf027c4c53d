import { Redis } from 'ioredis';
import type { BreakerState, BreakerStore } from '../../src/queue/breakerState.ts';
import { createMemoryBreakerStore } from '../../src/queue/embedded/breakerStore.ts';
import { createRedisBreakerStore } from '../../src/queue/redis/breakerStore.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';

const CLOSED: BreakerState = {
  closed: { since: 1, code: 'HTTP_503', reason: 'naïve 😀 "quoted"', pauses: 1, until: 2 },
};
const SLOWED: BreakerState = { pace: { perSecond: 12.5, at: 3 } };

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

const prefixed = () => {
  stores += 1;
  return `lane-${stores}`;
};

describe.each<{ what: string; create: () => BreakerStore }>([
  { what: 'memory', create: () => createMemoryBreakerStore() },
  { what: 'Redis', create: () => createRedisBreakerStore(client, prefixed()) },
])('the lane in $what', ({ create }) => {
  const setup = () => {
    const store = create();
    return {
      store,
      /** Writes over whatever is there. */
      put: async (state: BreakerState) => store.replace((await store.read()).version, state),
      /**
       * The time of each slot from the first on, as near as the test can tell: a slot comes
       * `waitMs` after a moment between `asked` and `told`.
       */
      takeSlots: async (count: number, perSecond: number) => {
        const slots = await Promise.all(
          Array.from({ length: count }, async () => {
            const asked = performance.now();
            const waitMs = await store.reserveSlot(perSecond);
            return { waitMs, asked, from: asked + waitMs - 1, to: performance.now() + waitMs + 1 };
          }),
        );
        return slots.toSorted((a, b) => a.waitMs - b.waitMs);
      },
    };
  };

  it('is open at first', async () => {
    expect((await setup().store.read()).state).toEqual({});
  });

  it('knows what time it is', async () => {
    const before = Date.now();
    const { now } = await setup().store.read();

    expect(now).toBeGreaterThanOrEqual(before - 1);
    expect(now).toBeLessThanOrEqual(Date.now() + 1);
  });

  it('is what was written last', async () => {
    const { store, put } = setup();

    for (const state of [CLOSED, SLOWED, { ...CLOSED, ...SLOWED }, {}]) {
      await expect(put(state)).resolves.toBe(true);
      expect((await store.read()).state).toEqual(state);
    }
  });

  it('is written only where nobody else has written since', async () => {
    const { store, put } = setup();
    const { version } = await store.read();
    await put(CLOSED);

    await expect(store.replace(version, SLOWED)).resolves.toBe(false);

    expect((await store.read()).state).toEqual(CLOSED);
  });

  it('is written by one of many at once', async () => {
    const { store } = setup();
    const { version } = await store.read();

    const written = await Promise.all(
      Array.from({ length: 10 }, (_, at) => store.replace(version, { pace: { perSecond: 1, at } })),
    );

    expect(written.filter(Boolean)).toHaveLength(1);
    expect((await store.read()).state.pace?.at).toBe(written.indexOf(true));
  });

  it('gives the first slot at once', async () => {
    await expect(setup().store.reserveSlot(10)).resolves.toBe(0);
  });

  it.each([
    { perSecond: 10, count: 3, apartMs: 100 },
    { perSecond: 50, count: 10, apartMs: 20 },
    { perSecond: 1_000, count: 150, apartMs: 1 },
  ])('gives $perSecond slots a second, however many ask at once', async (row) => {
    const { takeSlots } = setup();
    const startedAt = performance.now();

    const slots = await takeSlots(row.count, row.perSecond);

    // Who was answered late has less to wait for than others before him, so each bound has an order of its own.
    const sorted = (bounds: number[]) => bounds.toSorted((a, b) => a - b);
    for (const [number, to] of sorted(slots.map((slot) => slot.to)).entries()) {
      // Never earlier than its turn; later only by as much as the asking took.
      expect(to - startedAt).toBeGreaterThanOrEqual(number * row.apartMs);
    }
    for (const [number, from] of sorted(slots.map((slot) => slot.from)).entries()) {
      expect(from - performance.now()).toBeLessThanOrEqual(number * row.apartMs);
    }
  });

  it('gives no two callers the same slot', async () => {
    const { takeSlots } = setup();

    const slots = await takeSlots(3, 10);

    for (const [number, { to }] of slots.entries()) {
      expect(to - (slots[number - 1]?.from ?? Number.NEGATIVE_INFINITY)).toBeGreaterThan(99);
    }
  });

  it('gives no slot that is more than 200 ms away, and says when it will', async () => {
    const { store } = setup();
    await store.reserveSlot(0.1);

    const told = [await store.reserveSlot(0.1), await store.reserveSlot(0.1)];

    // Ten seconds apart, less the time that the asking took. Who is not given it does not take it.
    for (const waitMs of told) {
      expect(waitMs).toBeGreaterThanOrEqual(-9_800);
      expect(waitMs).toBeLessThan(-1_000);
    }
  });

  it('goes by the pace of each caller for the slot after its own', async () => {
    const { takeSlots } = setup();

    const [first] = await takeSlots(1, 10);
    const [second] = await takeSlots(1, 50);
    const [third] = await takeSlots(1, 50);

    expect(second?.to).toBeGreaterThan((first?.from ?? 0) + 99);
    expect(third?.to).toBeGreaterThan((second?.from ?? 0) + 19);
    // One that is asked for later than its time comes at once.
    const latest = Math.max((second?.to ?? 0) + 21, third?.asked ?? 0);
    expect(third?.from).toBeLessThan(latest);
  });

  it('keeps no slots for later that nobody took', async () => {
    const { store, takeSlots } = setup();
    await store.reserveSlot(1_000);
    await new Promise(setImmediate);

    const [first, second] = await takeSlots(2, 10);

    expect(first?.waitMs).toBeLessThanOrEqual(1);
    expect(second?.to).toBeGreaterThan((first?.from ?? 0) + 99);
  });

  it('keeps slots and state apart', async () => {
    const { store, put } = setup();
    await put(CLOSED);
    const { version } = await store.read();

    await store.reserveSlot(1);

    await expect(store.replace(version, SLOWED)).resolves.toBe(true);
  });
});

describe('the lane in Redis', () => {
  const setup = () => {
    const prefix = prefixed();
    return {
      store: createRedisBreakerStore(client, prefix),
      key: `${prefix}:circuit-breaker`,
      prefix,
    };
  };

  it.each(['garbage', '{"closed":true}', '[1]', 'null'])(
    'counts as open where it holds %s, and can be written over',
    async (text) => {
      const { store, key } = setup();
      await client.set(key, text);

      const { state, version } = await store.read();
      expect(state).toEqual({});
      await expect(store.replace(version, CLOSED)).resolves.toBe(true);

      expect((await store.read()).state).toEqual(CLOSED);
    },
  );

  it('can be written over where it holds bytes that are no text', async () => {
    const { store, key } = setup();
    await client.set(key, Buffer.from([0xff, 0xfe]));

    const { version } = await store.read();

    await expect(store.replace(version, CLOSED)).resolves.toBe(true);
  });

  it('is shared by all that go by its prefix, and by nobody else', async () => {
    const { store, prefix } = setup();
    const [same, other] = [
      createRedisBreakerStore(client, prefix),
      createRedisBreakerStore(client, prefixed()),
    ];

    await store.replace('', CLOSED);
    await store.reserveSlot(0.1);

    expect((await same.read()).state).toEqual(CLOSED);
    await expect(same.reserveSlot(0.1)).resolves.toBeLessThan(-9_000);
    expect((await other.read()).state).toEqual({});
    await expect(other.reserveSlot(0.1)).resolves.toBe(0);
  });

  it('forgets slots of which the time has passed', async () => {
    const { store, key } = setup();

    await store.reserveSlot(10);
    const lasts = await client.pttl(`${key}:slots`);

    expect(lasts).toBeGreaterThan(0);
    expect(lasts).toBeLessThanOrEqual(1_100);
  });

  it('goes by the clock of Redis', async () => {
    const [seconds, micros] = await client.time();
    const { now } = await setup().store.read();

    expect(now - (Number(seconds) * 1_000 + Number(micros) / 1_000)).toBeLessThan(1_000);
    expect(Number.isInteger(now)).toBe(true);
  });
});

describe('the lane in memory', () => {
  it('goes by the clock that it was given', async () => {
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
