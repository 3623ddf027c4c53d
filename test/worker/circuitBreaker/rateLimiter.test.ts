import { createMemoryBreakerStore } from '../../../src/queue/embedded/breakerStore.ts';
import { createRateLimiter } from '../../../src/worker/circuitBreaker/rateLimiter.ts';

const { jest } = import.meta;

const permit = (ms: number) => jest.advanceTimersByTimeAsync(ms);

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
  const asked: number[] = [];
  const rateLimiter = createRateLimiter({
    reserveSlot: (at) => {
      asked.push(at);
      return (reserveSlot ?? store.reserveSlot)(at);
    },
    perSecond: () => rate.perSecond,
  });
  const startedAt = Date.now();
  /** What became of each, and when, in the order in which it did. */
  const came: [name: string, what: unknown, afterMs: number][] = [];
  const turn = (name: string, abort?: AbortSignal) => {
    const note = (what: unknown) => came.push([name, what, Date.now() - startedAt]);
    return rateLimiter.turn(abort).then(note, note);
  };

  return { rateLimiter, store, rate, asked, came, turn };
};

describe('the pacer', () => {
  it('lets requests go at the rate, in the order in which they came', async () => {
    const { turn, came } = setup();

    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) void turn(name);
    await permit(1_000);

    expect(came).toEqual([
      ['a', true, 0],
      ['b', true, 100],
      ['c', true, 200],
      ['d', true, 300],
      ['e', true, 400],
      ['f', true, 500],
    ]);
  });

  it('takes only slots that come within 200 ms', async () => {
    const { turn, store } = setup();
    for (let number = 0; number < 30; number += 1) void turn(`${number}`);
    await permit(0);

    // 0, 100 and 200 are taken.
    await expect(store.reserveSlot(10)).resolves.toBe(-100);
    await permit(100);

    await expect(store.reserveSlot(10)).resolves.toBe(-100);
  });

  it('asks for the slots of one second not much more than once each', async () => {
    const { turn, asked } = setup();

    for (let number = 0; number < 10; number += 1) void turn(`${number}`);
    await permit(1_000);

    expect(asked.length).toBeLessThanOrEqual(2 * 10);
  });

  it('shares the slots with whoever takes from the same store', async () => {
    const { turn, store, came } = setup();
    await store.reserveSlot(10);

    void turn('a');
    await permit(100);

    expect(came).toEqual([['a', true, 100]]);
  });

  it('goes by the rate as it is at the time', async () => {
    const { turn, rate, came, asked } = setup({ perSecond: 1 });
    for (const name of ['a', 'b', 'c', 'd']) void turn(name);
    await permit(500);
    rate.perSecond = 10;
    await permit(800);

    expect(came).toEqual([
      ['a', true, 0],
      ['b', true, 1_000],
      ['c', true, 1_100],
      ['d', true, 1_200],
    ]);
    expect(asked).toEqual(expect.arrayContaining([1, 10]));
  });

  it('lets everybody go when the rate is limited no more', async () => {
    const { turn, rate, came } = setup({ perSecond: 1 });
    for (const name of ['a', 'b', 'c']) void turn(name);
    await permit(100);

    rate.perSecond = undefined;
    await permit(700);

    expect(came.map(([name]) => name)).toEqual(['a', 'b', 'c']);
  });

  it('turns everybody away at once who has no slot, and nobody else', async () => {
    const { turn, rateLimiter, came } = setup();
    for (const name of ['a', 'b', 'c', 'd', 'e']) void turn(name);
    await permit(50);

    rateLimiter.turnAway();
    await permit(0);

    expect(came).toEqual([
      ['a', true, 0],
      ['d', false, 50],
      ['e', false, 50],
    ]);
    await permit(1_000);
    expect(came.slice(3)).toEqual([
      ['b', true, 100],
      ['c', true, 200],
    ]);
  });

  it('serves who comes after those that were turned away, in the slot they would have had', async () => {
    const { turn, rateLimiter, came } = setup({ perSecond: 1 });
    for (const name of ['a', 'b', 'c']) void turn(name);
    await permit(10);

    rateLimiter.turnAway();
    void turn('d');
    await permit(2_000);

    expect(came).toEqual([
      ['a', true, 0],
      ['b', false, 10],
      ['c', false, 10],
      ['d', true, 1_000],
    ]);
  });

  it('lets go who is aborted, with the reason, and the others move up', async () => {
    const { turn, came } = setup({ perSecond: 1 });
    const abort = new AbortController();
    void turn('a');
    void turn('b', abort.signal);
    void turn('c');
    await permit(10);

    abort.abort('stopping');
    await permit(1_000);

    expect(came).toEqual([
      ['a', true, 0],
      ['b', 'stopping', 10],
      ['c', true, 1_000],
    ]);
  });

  it('lets go who is aborted while its slot comes', async () => {
    const { turn, came } = setup();
    const abort = new AbortController();
    void turn('a');
    void turn('b', abort.signal);
    await permit(50);

    abort.abort('stopping');
    await permit(1_000);

    expect(came).toEqual([
      ['a', true, 0],
      ['b', 'stopping', 50],
    ]);
  });

  it('lets nobody wait who is aborted before', async () => {
    const { turn, rateLimiter, asked, came } = setup();

    await turn('a', AbortSignal.abort('stopping'));

    expect(came).toEqual([['a', 'stopping', 0]]);
    expect([asked, rateLimiter.isWaitedFor()]).toEqual([[], false]);
  });

  it('says whether anybody waits who has no slot', async () => {
    const { turn, rateLimiter } = setup({ perSecond: 1 });
    expect(rateLimiter.isWaitedFor()).toBe(false);

    void turn('a');
    void turn('b');
    await permit(0);
    expect(rateLimiter.isWaitedFor()).toBe(true);
    await permit(1_000);

    expect(rateLimiter.isWaitedFor()).toBe(false);
  });

  it('fails all that wait when the store fails, and serves who comes later', async () => {
    const fails = { now: true };
    const { turn, came, rateLimiter } = setup({
      reserveSlot: async () => {
        if (fails.now) throw new Error('The queue does not answer');
        return 0;
      },
    });
    void turn('a');
    void turn('b');
    await permit(0);
    expect(rateLimiter.isWaitedFor()).toBe(false);

    fails.now = false;
    void turn('c');
    await permit(0);

    const silent = new Error('The queue does not answer');
    expect(came).toEqual([
      ['a', silent, 0],
      ['b', silent, 0],
      ['c', true, 0],
    ]);
  });

  it.each([0, 1, 2, 3, 4, 5])(
    'forgets nobody who comes at the moment at which the last one goes (%i ticks later)',
    async (ticks) => {
      const { turn, came } = setup({ reserveSlot: async () => 0 });

      void turn('a');
      for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
      void turn('b');
      await permit(5_000);

      expect(came.map(([name]) => name)).toEqual(['a', 'b']);
    },
  );
});
