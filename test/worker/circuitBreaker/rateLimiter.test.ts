import { createMemoryBreakerStore } from '../../../src/queue/embedded/breakerStore.ts';
import { createRateLimiter } from '../../../src/worker/circuitBreaker/rateLimiter.ts';

const { jest } = import.meta;

const advance = (ms: number) => jest.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

type Setup = {
  perSecond?: number | undefined;
  reserveSlot?: (perSecond: number) => Promise<number>;
};

const setup = ({ perSecond = 10, reserveSlot }: Setup = {}) => {
  const rate: { perSecond: number | undefined } = { perSecond };
  const store = createMemoryBreakerStore();
  /** The rate of each call of `reserveSlot`. */
  const reservations: number[] = [];
  const rateLimiter = createRateLimiter({
    reserveSlot: (atRate) => {
      reservations.push(atRate);
      return (reserveSlot ?? store.reserveSlot)(atRate);
    },
    perSecond: () => rate.perSecond,
  });
  const startedAt = Date.now();
  /** The result of each request and its time, in the order of arrival. */
  const results: [name: string, result: unknown, afterMs: number][] = [];
  const request = (name: string, abort?: AbortSignal) => {
    const record = (result: unknown) => results.push([name, result, Date.now() - startedAt]);
    return rateLimiter.awaitSlot(abort).then(record, record);
  };

  return { rateLimiter, store, rate, reservations, results, request };
};

describe('the rate limiter', () => {
  it('grants slots at the rate, in the order of the requests', async () => {
    const { request, results } = setup();

    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) void request(name);
    await advance(1_000);

    expect(results).toEqual([
      ['a', true, 0],
      ['b', true, 100],
      ['c', true, 200],
      ['d', true, 300],
      ['e', true, 400],
      ['f', true, 500],
    ]);
  });

  it('reserves only slots that come within 200 ms', async () => {
    const { request, store } = setup();
    for (let number = 0; number < 30; number += 1) void request(`${number}`);
    await advance(0);

    // The slots at 0, 100 and 200 ms are reserved.
    await expect(store.reserveSlot(10)).resolves.toBe(-100);
    await advance(100);

    await expect(store.reserveSlot(10)).resolves.toBe(-100);
  });

  it('reserves the slots of one second in at most two calls each', async () => {
    const { request, reservations } = setup();

    for (let number = 0; number < 10; number += 1) void request(`${number}`);
    await advance(1_000);

    expect(reservations.length).toBeLessThanOrEqual(2 * 10);
  });

  it('shares the slots with every other caller of the same store', async () => {
    const { request, store, results } = setup();
    await store.reserveSlot(10);

    void request('a');
    await advance(100);

    expect(results).toEqual([['a', true, 100]]);
  });

  it('follows a change of the rate for requests that already wait', async () => {
    const { request, rate, results, reservations } = setup({ perSecond: 1 });
    for (const name of ['a', 'b', 'c', 'd']) void request(name);
    await advance(500);
    rate.perSecond = 10;
    await advance(800);

    expect(results).toEqual([
      ['a', true, 0],
      ['b', true, 1_000],
      ['c', true, 1_100],
      ['d', true, 1_200],
    ]);
    expect(reservations).toEqual(expect.arrayContaining([1, 10]));
  });

  it('grants every waiting request once the rate is not limited any more', async () => {
    const { request, rate, results } = setup({ perSecond: 1 });
    for (const name of ['a', 'b', 'c']) void request(name);
    await advance(100);

    rate.perSecond = undefined;
    await advance(700);

    expect(results.map(([name]) => name)).toEqual(['a', 'b', 'c']);
  });

  it('cancels at once the requests without a slot, and no others', async () => {
    const { request, rateLimiter, results } = setup();
    for (const name of ['a', 'b', 'c', 'd', 'e']) void request(name);
    await advance(50);

    rateLimiter.cancelWaiting();
    await advance(0);

    expect(results).toEqual([
      ['a', true, 0],
      ['d', false, 50],
      ['e', false, 50],
    ]);
    await advance(1_000);
    expect(results.slice(3)).toEqual([
      ['b', true, 100],
      ['c', true, 200],
    ]);
  });

  it('grants a request after a cancellation the slot that the cancelled ones would have had', async () => {
    const { request, rateLimiter, results } = setup({ perSecond: 1 });
    for (const name of ['a', 'b', 'c']) void request(name);
    await advance(10);

    rateLimiter.cancelWaiting();
    void request('d');
    await advance(2_000);

    expect(results).toEqual([
      ['a', true, 0],
      ['b', false, 10],
      ['c', false, 10],
      ['d', true, 1_000],
    ]);
  });

  it('rejects an aborted request with the reason, and the others move up', async () => {
    const { request, results } = setup({ perSecond: 1 });
    const abort = new AbortController();
    void request('a');
    void request('b', abort.signal);
    void request('c');
    await advance(10);

    abort.abort('stopping');
    await advance(1_000);

    expect(results).toEqual([
      ['a', true, 0],
      ['b', 'stopping', 10],
      ['c', true, 1_000],
    ]);
  });

  it('rejects a request that is aborted while its reserved slot is still ahead', async () => {
    const { request, results } = setup();
    const abort = new AbortController();
    void request('a');
    void request('b', abort.signal);
    await advance(50);

    abort.abort('stopping');
    await advance(1_000);

    expect(results).toEqual([
      ['a', true, 0],
      ['b', 'stopping', 50],
    ]);
  });

  it('rejects a request that was aborted before, without a reservation', async () => {
    const { request, rateLimiter, reservations, results } = setup();

    await request('a', AbortSignal.abort('stopping'));

    expect(results).toEqual([['a', 'stopping', 0]]);
    expect([reservations, rateLimiter.hasWaiting()]).toEqual([[], false]);
  });

  it('reports whether requests without a slot wait', async () => {
    const { request, rateLimiter } = setup({ perSecond: 1 });
    expect(rateLimiter.hasWaiting()).toBe(false);

    void request('a');
    void request('b');
    await advance(0);
    expect(rateLimiter.hasWaiting()).toBe(true);
    await advance(1_000);

    expect(rateLimiter.hasWaiting()).toBe(false);
  });

  it('rejects all waiting requests when the store fails, and serves later ones', async () => {
    const fails = { now: true };
    const { request, results, rateLimiter } = setup({
      reserveSlot: async () => {
        if (fails.now) throw new Error('The queue does not answer');
        return 0;
      },
    });
    void request('a');
    void request('b');
    await advance(0);
    expect(rateLimiter.hasWaiting()).toBe(false);

    fails.now = false;
    void request('c');
    await advance(0);

    const error = new Error('The queue does not answer');
    expect(results).toEqual([
      ['a', error, 0],
      ['b', error, 0],
      ['c', true, 0],
    ]);
  });

  it.each([0, 1, 2, 3, 4, 5])(
    'serves a request that arrives while the last one is granted (%i ticks later)',
    async (ticks) => {
      const { request, results } = setup({ reserveSlot: async () => 0 });

      void request('a');
      for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
      void request('b');
      await advance(5_000);

      expect(results.map(([name]) => name)).toEqual(['a', 'b']);
    },
  );
});
