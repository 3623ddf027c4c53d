import type { BreakerStore } from '../../../src/queue/breakerState.ts';
import { createMemoryBreakerStore } from '../../../src/queue/embedded/breakerStore.ts';
import {
  createCircuitBreaker,
  type HealthReport,
} from '../../../src/worker/circuitBreaker/circuitBreaker.ts';
import { createDeliverSignal } from '../../../src/worker/delivery/deliverSignal.ts';
import { accepted } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';
import { captureLogs } from '../../support/captureLogs.ts';

const { jest } = import.meta;

const CLEAR: HealthReport = { kind: 'healthy' };
const TROUBLE: HealthReport = {
  kind: 'failing',
  certain: false,
  failure: { code: 'HTTP_503', reason: 'HTTP 503 without a GraphQL answer' },
};
const CERTAIN: HealthReport = { ...TROUBLE, certain: true };
const limited = (retryAfterMs?: number): HealthReport => ({
  kind: 'rateLimited',
  failure: { code: 'RATE_LIMITED', reason: 'Too many', retryAfterMs },
});

type Setup = {
  workers?: number;
  perSecond?: number;
  pauseMaxMs?: number;
  store?: (store: BreakerStore) => BreakerStore;
  /** As one of the workers alone sees it. */
  storeOf?: Record<string, (store: BreakerStore) => BreakerStore>;
};

const stops: (() => Promise<void>)[] = [];

/** Workers on one store, named A, B, C. */
const setup = ({ workers = 1, perSecond, pauseMaxMs = 60_000, ...doubles }: Setup = {}) => {
  const memory = createMemoryBreakerStore();
  const store = doubles.store?.(memory) ?? memory;
  const logs = captureLogs();
  const join = (id: string) => {
    const own = doubles.storeOf?.[id]?.(store) ?? store;
    const throttled: string[] = [];
    const breaker = createCircuitBreaker({
      ...{ store: own, id, perSecond, pauseMaxMs, logger: logs.logger },
      setConcurrency: (slots) => throttled.push(slots),
      random: () => 0.5,
    });
    stops.push(breaker.stop);
    let requests = 0;
    return {
      ...breaker,
      throttled,
      /** Whether its worker takes what it can. */
      isClosed: () => (throttled.at(-1) ?? 'all') !== 'all',
      /** One request about a signal of its own, or about those given. */
      hear: (report: HealthReport, permit: 'normal' | 'probe' = 'normal', ids?: string[]) => {
        requests += 1;
        return breaker.report(report, ids ?? [`${id}${requests}`], permit);
      },
    };
  };
  const [a, b, c] = [join('A'), join('B'), join('C')].slice(0, workers);
  const need = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('no such worker');
    return value;
  };

  return {
    memory,
    logs,
    get a() {
      return need(a);
    },
    get b() {
      return need(b);
    },
    get c() {
      return need(c);
    },
  };
};

type Worker = ReturnType<typeof setup>['a'];

/** To the others it makes no difference whether a worker is dead or no word of its is heard. */
const dies =
  (record: { dead: boolean }) =>
  (store: BreakerStore): BreakerStore => {
    const alive = async <T>(ask: () => Promise<T>): Promise<T> => {
      if (record.dead) throw new Error('dead');
      return ask();
    };
    return {
      read: () => alive(store.read),
      replace: (version, state) => alive(() => store.replace(version, state)),
      reserveSlot: (perSecond) => alive(() => store.reserveSlot(perSecond)),
    };
  };

const permit = (ms: number) => jest.advanceTimersByTimeAsync(ms);
/** Longer than a worker goes without asking the store. */
const GROW_STALE_MS = 501;
/** A pause, and the time until even the worker that failed last has asked for the next try. */
const untilProbe = (pauseMs: number) => permit(pauseMs + 650);

/** Who holds the next try: a worker that may take one signal. */
const probers = (...workers: Worker[]) =>
  workers.map(({ throttled }) => throttled.at(-1) === 'one').filter(Boolean).length;

beforeEach(() => {
  jest.useFakeTimers({ now: Date.parse('2026-03-01T12:00:00Z') });
});
afterEach(async () => {
  const stopped = Promise.all(stops.splice(0).map((stop) => stop().catch(() => {})));
  // Some of their stores take their time.
  await jest.advanceTimersByTimeAsync(10_000);
  await stopped;
  jest.useRealTimers();
});

describe('an open lane', () => {
  it('admits everybody, lets every request in, and throttles nobody', async () => {
    const { a } = setup();

    await expect(a.acquire()).resolves.toBe('normal');
    await expect(a.awaitSlot('normal', undefined)).resolves.toBe(true);
    await a.hear(CLEAR);

    expect([a.isClosed(), a.throttled]).toEqual([false, []]);
  });

  it('closes at the fifth trouble in a row', async () => {
    const { a } = setup();
    await a.acquire();

    for (let number = 1; number <= 4; number += 1) await a.hear(TROUBLE);
    expect(a.isClosed()).toBe(false);
    await a.hear(TROUBLE);

    expect([a.isClosed(), a.throttled]).toEqual([true, ['none']]);
    await expect(a.acquire()).resolves.toBeUndefined();
  });

  it('stays open where one signal may be at fault', async () => {
    const { a } = setup();

    for (let number = 1; number <= 20; number += 1) await a.hear(TROUBLE, 'normal', ['same']);

    expect(a.isClosed()).toBe(false);
  });

  it('counts anew after a request that was clear', async () => {
    const { a } = setup();

    for (let number = 1; number <= 4; number += 1) await a.hear(TROUBLE);
    await a.hear(CLEAR);
    for (let number = 1; number <= 4; number += 1) await a.hear(TROUBLE);
    expect(a.isClosed()).toBe(false);
    await a.hear(TROUBLE);

    expect(a.isClosed()).toBe(true);
  });

  it.each<{ what: string; report: HealthReport }>([
    { what: 'certain trouble', report: CERTAIN },
    { what: 'a limit that says for how long', report: limited(2_000) },
  ])('closes at once at $what', async ({ report }) => {
    const { a } = setup();

    await a.hear(report);

    expect([a.isClosed(), a.throttled]).toEqual([true, ['none']]);
  });

  it('slows down at a limit, and closes at the fifth in a row', async () => {
    const { a, logs, memory } = setup();

    for (let number = 1; number <= 4; number += 1) await a.hear(limited());
    expect(a.isClosed()).toBe(false);
    expect((await memory.read()).state.pace).toMatchObject({ perSecond: 5 });
    await a.hear(limited());

    expect([a.isClosed(), a.throttled]).toEqual([true, ['none']]);
    expect(logs.lines()).toMatchObject([
      // Heard once, for it was one complaint.
      { level: 'info', msg: 'delivery.throttled', limitedAt: 0, perSecond: 5 },
      { level: 'warn', msg: 'delivery.suspended', code: 'RATE_LIMITED', limitedAt: 0 },
    ]);
  });

  it('takes a limit and other trouble for one row', async () => {
    const { a } = setup();

    for (const report of [TROUBLE, limited(), TROUBLE, limited()]) await a.hear(report);
    expect(a.isClosed()).toBe(false);
    await a.hear(TROUBLE);

    expect(a.isClosed()).toBe(true);
  });

  it('says when it closed and why', async () => {
    const { a, logs } = setup();

    await a.hear(CERTAIN);

    expect(logs.lines()).toEqual([
      expect.objectContaining({
        ...{
          level: 'warn',
          msg: 'delivery.suspended',
          code: 'HTTP_503',
          pauses: 1,
          pauseMs: 1_000,
        },
        ...{ reason: 'HTTP 503 without a GraphQL answer', since: '2026-03-01T12:00:00.000Z' },
      }),
    ]);
  });
});

describe('a lane that one worker closed', () => {
  it('is closed to another when it has not asked for half a second', async () => {
    const { a, b } = setup({ workers: 2 });
    await b.acquire();
    await a.hear(CERTAIN);

    await permit(GROW_STALE_MS);

    await expect(b.acquire()).resolves.toBeUndefined();
    expect(b.throttled).toEqual(['none']);
  });

  it('is closed to another’s signals in hand as well', async () => {
    const { a, b } = setup({ workers: 2 });
    await expect(b.acquire()).resolves.toBe('normal');
    await a.hear(CERTAIN);

    await permit(GROW_STALE_MS);

    await expect(b.awaitSlot('normal', undefined)).resolves.toBe(false);
    expect(b.isClosed()).toBe(true);
  });

  it('lets its own signals in hand in no more', async () => {
    const { a } = setup();
    await expect(a.acquire()).resolves.toBe('normal');

    await a.hear(CERTAIN);

    await expect(a.awaitSlot('normal', undefined)).resolves.toBe(false);
  });

  it('hears from many at once of the same trouble, and closes for one pause', async () => {
    const { a, b, logs, memory } = setup({ workers: 2 });

    await Promise.all([a, b, a, b].map((worker) => worker.hear(CERTAIN)));

    expect(logs.lines().map(({ msg }) => msg)).toEqual(['delivery.suspended']);
    expect((await memory.read()).state.closed).toMatchObject({ pauses: 1 });
  });

  it('stays closed for as long as SEEK asks, if that is longer', async () => {
    const { a, b, logs } = setup({ workers: 2 });
    await a.hear(limited(10_000));
    await b.acquire();

    await permit(9_900);
    expect(probers(a, b)).toBe(0);
    await permit(350);

    expect(probers(a, b)).toBe(1);
    expect(logs.lines()).toMatchObject([
      { msg: 'delivery.suspended', pauseMs: 10_000, limitedAt: 0 },
    ]);
  });
});

describe('the next try', () => {
  /** A closed for all, and all know it. */
  const closedTo = async (...[first, ...others]: Worker[]) => {
    await first?.hear(CERTAIN);
    await permit(GROW_STALE_MS);
    for (const other of others) await other.acquire();
  };

  it('is one signal’s, of one worker, after the pause', async () => {
    const { a, b, c } = setup({ workers: 3 });
    await closedTo(a, b, c);

    await permit(498);
    expect(probers(a, b, c)).toBe(0);
    await permit(252);

    expect(probers(a, b, c)).toBe(1);
    const admitted = await Promise.all([a, b, c, a, b, c].map((worker) => worker.acquire()));
    expect(admitted.filter((each) => each !== undefined)).toEqual(['probe']);
  });

  it('may make its request, and nobody else may', async () => {
    const { a, b } = setup({ workers: 2 });
    await closedTo(a);
    await untilProbe(500);
    await expect(a.acquire()).resolves.toBe('probe');

    await expect(a.awaitSlot('probe', undefined)).resolves.toBe(true);
    await expect(a.awaitSlot('normal', undefined)).resolves.toBe(false);
    await expect(b.awaitSlot('normal', undefined)).resolves.toBe(false);
    await expect(b.awaitSlot('probe', undefined)).resolves.toBe(false);
  });

  it('that succeeds opens the lane to everybody within a second', async () => {
    const { a, b, c, logs } = setup({ workers: 3 });
    await closedTo(a, b, c);
    await untilProbe(500);
    const [prober] = [a, b, c].filter(({ throttled }) => throttled.at(-1) === 'one');
    await prober?.acquire();

    await prober?.hear(CLEAR, 'probe');
    await permit(1_000);

    expect([a, b, c].map(({ throttled }) => throttled.at(-1))).toEqual(['all', 'all', 'all']);
    await expect(Promise.all([a, b, c].map((each) => each.acquire()))).resolves.toEqual([
      ...['normal', 'normal', 'normal'],
    ]);
    expect(logs.lines().at(-1)).toMatchObject({
      ...{ level: 'info', msg: 'delivery.resumed', code: 'HTTP_503', pauses: 1 },
      closedForMs: expect.any(Number),
    });
  });

  it('that fails makes the pause longer, and another worker may be next', async () => {
    const { a, b, logs } = setup({ workers: 2 });
    await closedTo(a);
    await untilProbe(500);
    await a.acquire();

    await a.hear(TROUBLE, 'probe');
    a.release('probe');
    expect(a.throttled).toEqual(['none', 'one', 'none']);
    void a.stop();
    await b.acquire();
    await permit(1_900);
    expect(probers(b)).toBe(0);
    await permit(350);

    expect(b.throttled).toEqual(['none', 'one']);
    await expect(b.acquire()).resolves.toBe('probe');
    expect(logs.lines()).toMatchObject([
      { msg: 'delivery.suspended', pauses: 1, pauseMs: 1_000 },
      { level: 'info', msg: 'delivery.probed', pauses: 2, pauseMs: 2_000 },
    ]);
  });

  it('is another’s at once when the one who had it stops', async () => {
    const { a, b } = setup({ workers: 2 });
    await closedTo(a);
    await untilProbe(500);
    await b.acquire();
    expect(probers(a)).toBe(1);

    await a.stop();
    await permit(250);

    expect([probers(a), probers(b)]).toEqual([0, 1]);
  });

  it('is another’s when the one who had it has died', async () => {
    const dead = { dead: false };
    const { a, b } = setup({ workers: 2, storeOf: { A: dies(dead) } });
    await closedTo(a);
    await untilProbe(500);
    await a.acquire();
    dead.dead = true;
    await b.acquire();

    await permit(4_000);
    expect(probers(b)).toBe(0);
    await permit(1_500);

    expect(probers(b)).toBe(1);
  });

  it('that takes long is no other’s as long as its worker lives', async () => {
    const { a, b } = setup({ workers: 2 });
    await closedTo(a, b);
    void a.stop();
    await untilProbe(500);
    await expect(b.acquire()).resolves.toBe('probe');

    await permit(60_000);

    await expect(b.awaitSlot('probe', undefined)).resolves.toBe(true);
  });

  it('is yielded by a worker that has nothing to try with', async () => {
    const { a, b } = setup({ workers: 2 });
    await closedTo(a);
    await untilProbe(500);
    expect(probers(a)).toBe(1);
    await b.acquire();

    await permit(9_500);
    expect(probers(b)).toBe(0);
    await permit(1_500);

    expect([a, b].map(({ throttled }) => throttled.at(-1))).toEqual(['none', 'one']);
    await expect(b.acquire()).resolves.toBe('probe');
  });

  it('comes back to who yielded it, where nobody else wants it', async () => {
    const { a } = setup();
    await closedTo(a);
    await untilProbe(500);

    // It leaves the others a second.
    await permit(10_700);
    expect(a.throttled).toEqual(['none', 'one', 'none']);
    await permit(1_000);

    expect(a.throttled).toEqual(['none', 'one', 'none', 'one']);
    await expect(a.acquire()).resolves.toBe('probe');
  });

  it('is the next signal’s when the one before came to no end', async () => {
    const { a } = setup();
    await closedTo(a);
    await untilProbe(500);
    await a.acquire();
    await expect(a.acquire()).resolves.toBeUndefined();

    a.release('probe');

    await expect(a.acquire()).resolves.toBe('probe');
  });

  it('that was taken over by another counts for nothing any more', async () => {
    const { a, b, memory } = setup({ workers: 2 });
    await closedTo(a);
    await untilProbe(500);
    await a.acquire();
    void a.stop();
    await b.acquire();
    await permit(5_500);
    expect(probers(b)).toBe(1);

    await expect(a.awaitSlot('probe', undefined)).resolves.toBe(false);
    await a.hear(TROUBLE, 'probe');
    await a.hear(CLEAR, 'probe');

    expect((await memory.read()).state.closed).toMatchObject({ pauses: 1, probe: { by: 'B' } });
  });

  it('that was taken over by another who opened the lane does not close it again', async () => {
    const { a, b, memory } = setup({ workers: 2 });
    await closedTo(a);
    await untilProbe(500);
    await a.acquire();
    void a.stop();
    await b.acquire();
    await permit(5_500);
    await expect(b.acquire()).resolves.toBe('probe');
    await b.hear(CLEAR, 'probe');

    await a.hear(TROUBLE, 'probe');

    expect((await memory.read()).state.closed).toBeUndefined();
  });

  it('is not spoiled by late trouble of other workers’ requests', async () => {
    const { a, b, memory } = setup({ workers: 2 });
    await closedTo(a);
    await untilProbe(500);
    await a.acquire();

    for (let number = 1; number <= 10; number += 1) await b.hear(TROUBLE);
    await b.hear(CERTAIN);

    expect((await memory.read()).state.closed).toMatchObject({ pauses: 1, probe: { by: 'A' } });
    await a.hear(CLEAR, 'probe');
    expect((await memory.read()).state.closed).toBeUndefined();
  });

  it('is not spoiled by late trouble of its own worker’s other requests', async () => {
    const { a, memory } = setup();
    await closedTo(a);
    await untilProbe(500);
    await a.acquire();

    // Under way since before the lane closed.
    for (let number = 1; number <= 5; number += 1) await a.hear(TROUBLE, 'normal');

    expect((await memory.read()).state.closed).toMatchObject({ pauses: 1, probe: { by: 'A' } });
  });

  it('is not lost with a signal that was let go before it was admitted', async () => {
    const { a } = setup();
    await closedTo(a);
    await untilProbe(500);
    const dispatch = createDeliverSignal({
      breaker: a,
      resolveToken: () => Promise.reject(new Error('resolved')),
      batcher: { send: () => Promise.reject(new Error('in company')) },
      bisectBatch: () => Promise.reject(new Error('sent')),
    });
    const signal = accepted(buildSignal());

    await dispatch({ signalId: 'gone', signal, abort: AbortSignal.abort() });
    await permit(60_000);

    await expect(a.acquire()).resolves.toBe('probe');
  });
});

describe('a request', () => {
  /** When each request was let in, in milliseconds from now. */
  const letIn = (workers: Worker[], requests: number) => {
    const startedAt = Date.now();
    const times: number[] = [];
    for (let number = 0; number < requests; number += 1) {
      void workers[number % workers.length]?.awaitSlot('normal', undefined).then((may) => {
        if (may) times.push(Date.now() - startedAt);
      });
    }
    return times;
  };

  it('waits for its turn where the rate is limited, over all workers', async () => {
    const { a, b, c } = setup({ workers: 3, perSecond: 10 });

    const times = letIn([a, b, c], 12);
    await permit(2_000);

    expect(times).toEqual(Array.from({ length: 12 }, (_, turn) => turn * 100));
  });

  it('waits for nothing where it is not', async () => {
    const { a } = setup();

    const times = letIn([a], 12);
    await permit(0);

    expect(times).toEqual(Array.from({ length: 12 }, () => 0));
  });

  it('that is let go while it waits for its turn rejects with the reason', async () => {
    const { a } = setup({ perSecond: 1 });
    const abort = new AbortController();
    await a.awaitSlot('normal', undefined);

    const rejected = expect(a.awaitSlot('normal', abort.signal)).rejects.toBe('stopping');
    await permit(10);
    abort.abort('stopping');

    await rejected;
  });

  it('is made less often than when SEEK complained, and more often by and by', async () => {
    const { a } = setup();
    // In the second before.
    letIn([a], 40);
    await permit(1_000);
    await a.hear(limited());

    // 75 % of 40 a second.
    const times = letIn([a], 5);
    await permit(33_000);
    const later = letIn([a], 5);
    await permit(1_000);

    expect(times).toEqual([0, 34, 67, 100, 134]);
    expect(later).toEqual([0, 17, 34, 51, 67]);
  });

  it('that is refused does not count as made', async () => {
    const { a, memory } = setup();
    await a.hear(CERTAIN);
    letIn([a], 100);
    await untilProbe(1_000);
    await a.acquire();
    letIn([a], 100);
    await a.awaitSlot('probe', undefined);

    await a.hear(CLEAR, 'probe');
    await a.hear(limited());

    expect((await memory.read()).state.pace).toMatchObject({ perSecond: 5 });
  });

  it('keeps to the slower of its own limit and of SEEK’s', async () => {
    const { a } = setup({ perSecond: 10 });
    letIn([a], 8);
    await permit(1_000);

    // 75 % of 8 a second.
    await a.hear(limited());
    const times = letIn([a], 3);
    await permit(1_000);
    await permit(40_000);
    const later = letIn([a], 3);
    await permit(1_000);

    expect(times).toEqual([0, 167, 334]);
    expect(later).toEqual([0, 100, 200]);
  });

  it('does not queue behind those that gave up their turn when the lane closed', async () => {
    const { a } = setup({ perSecond: 1 });
    letIn([a], 60);
    await permit(0);
    await a.hear(CERTAIN);
    await untilProbe(1_000);
    await a.acquire();
    await a.hear(CLEAR, 'probe');

    const times = letIn([a], 2);
    await permit(1_500);

    expect(times).toEqual([0, 1_000]);
  });

  it('is refused after its turn where another worker closed the lane meanwhile', async () => {
    const { a, b } = setup({ workers: 2, perSecond: 1 });
    const times = letIn([a], 30);
    await permit(0);

    await b.hear(CERTAIN);
    await permit(500);
    void b.stop();
    await permit(20_000);

    // Its first went before.
    expect(times).toEqual([0]);
  });
});

describe('requests that wait for their turn', () => {
  /** So many requests of each worker. What becomes of them, worker by worker. */
  const wait = (workers: Worker[], requests: number, abort?: AbortSignal) =>
    workers.map((worker) => {
      const came: (boolean | 'let go')[] = [];
      for (let number = 0; number < requests; number += 1) {
        const own = abort === undefined ? undefined : AbortSignal.any([abort]);
        void worker.awaitSlot('normal', own).then(
          (may) => came.push(may),
          () => came.push('let go'),
        );
      }
      return came;
    });
  const count = (came: unknown[] | undefined, what: unknown) =>
    came?.filter((each) => each === what).length;
  /** When a request of the next probe is let in, in milliseconds from now. */
  const probeGoes = async (workers: Worker[]): Promise<number> => {
    const startedAt = performance.now();
    let wentAt: number | undefined;
    for (let waited = 0; waited < 30_000 && wentAt === undefined; waited += 10) {
      for (const worker of workers) {
        if (worker.throttled.at(-1) !== 'one' || (await worker.acquire()) !== 'probe') continue;
        void worker.awaitSlot('probe', undefined).then((may) => {
          if (may) wentAt = performance.now() - startedAt;
        });
      }
      await permit(10);
    }
    if (wentAt === undefined) throw new Error('No probe');
    return wentAt;
  };

  it('are turned away at once by a lane that closes, and the probe goes within a second', async () => {
    const { a, b } = setup({ workers: 2, perSecond: 1 });
    const [ofA, ofB] = wait([a, b], 15);
    await permit(1_500);
    expect([a.isHeldBack(), b.isHeldBack()]).toEqual([true, true]);
    const went = () => (count(ofA, true) ?? 0) + (count(ofB, true) ?? 0);
    expect(went()).toBe(2);

    await a.hear(CERTAIN);
    await permit(0);
    expect([ofA?.length, a.isHeldBack()]).toEqual([15, false]);

    // A pause of a second. The other hears of it with its next slot.
    const probedAfter = await probeGoes([a, b]);
    expect([ofB?.length, b.isHeldBack()]).toEqual([15, false]);
    expect(went()).toBe(2);
    expect(probedAfter).toBeGreaterThanOrEqual(1_000);
    expect(probedAfter).toBeLessThanOrEqual(2_000);
  });

  it('do not keep the next probe waiting, after however many pauses', async () => {
    const { a, b } = setup({ workers: 2, perSecond: 1 });
    wait([a, b], 15);
    await a.hear(CERTAIN);

    for (const pauseMs of [1_000, 2_000, 4_000]) {
      const probedAfter = await probeGoes([a, b]);
      expect(probedAfter).toBeGreaterThanOrEqual(pauseMs);
      expect(probedAfter).toBeLessThanOrEqual(pauseMs + 1_000);
      const prober = a.throttled.at(-1) === 'one' ? a : b;
      await prober.hear(TROUBLE, 'probe');
      prober.release('probe');
    }
  });

  it('leave slots of a worker that stops unused for 200 ms at most', async () => {
    const { a, b } = setup({ workers: 2, perSecond: 10 });
    const abort = new AbortController();
    const [ofA] = wait([a], 30, abort.signal);
    await permit(1_000);
    const went = count(ofA, true) ?? 0;
    expect(went).toBeGreaterThanOrEqual(10);

    abort.abort('stopping');
    await a.stop();
    const [ofB] = wait([b], 10);
    await permit(0);
    expect([count(ofA, 'let go'), a.isHeldBack()]).toEqual([30 - went, false]);
    await permit(300);
    expect(count(ofB, true)).toBeGreaterThanOrEqual(1);
    await permit(1_000);

    expect(count(ofB, true)).toBe(10);
  });

  it('leave no slot unused where the rate is slow', async () => {
    const { a, b } = setup({ workers: 2, perSecond: 1 });
    const abort = new AbortController();
    wait([a], 30, abort.signal);
    await permit(100);

    abort.abort('stopping');
    await a.stop();
    const [ofB] = wait([b], 3);
    await permit(2_800);

    expect(count(ofB, true)).toBe(2);
    await permit(200);
    expect(count(ofB, true)).toBe(3);
  });
});

describe('many answers at once', () => {
  it('cost few writes, and none of them is dropped', async () => {
    const calls = { read: 0, replace: 0 };
    const { a, b, memory, logs } = setup({
      workers: 2,
      // Far enough away for writes to overlap.
      store: (store) => ({
        ...store,
        read: async () => {
          calls.read += 1;
          await new Promise((resolve) => setTimeout(resolve, 2));
          return store.read();
        },
        replace: async (version, state) => {
          calls.replace += 1;
          await new Promise((resolve) => setTimeout(resolve, 2));
          return store.replace(version, state);
        },
      }),
    });

    const told = Promise.all(
      Array.from({ length: 50 }, (_, number) => a.hear(limited(5_000 + number))),
    );
    const longer = b.hear(limited(9_000));
    await permit(600);
    await Promise.all([told, longer]);

    expect(calls.replace).toBeLessThanOrEqual(5);
    // Each once, and again when the other wrote in between.
    expect(calls.read).toBeLessThanOrEqual(60);
    expect(logs.text()).not.toContain('Lane not told');
    const { state, now } = await memory.read();
    expect(state.closed).toMatchObject({ pauses: 1 });
    expect((state.closed?.until ?? 0) - now).toBeGreaterThan(9_000 - 600 - 1);
  });
});

describe('who asks for the next try', () => {
  it('is another first, where one has failed last', async () => {
    const { a, b } = setup({ workers: 2 });
    await b.acquire();
    await a.hear(CERTAIN);
    await permit(GROW_STALE_MS);
    await b.acquire();

    await permit(1_000 - GROW_STALE_MS + 300);
    expect([probers(a), probers(b)]).toEqual([0, 1]);
  });

  it('is who failed last 400 ms later, where nobody else does', async () => {
    const { a } = setup();
    await a.hear(CERTAIN);

    await permit(1_399);
    expect(probers(a)).toBe(0);
    await permit(251);

    expect(probers(a)).toBe(1);
  });

  it('is at once again who has found the lane clear since', async () => {
    const { a, b } = setup({ workers: 2 });
    await a.hear(CERTAIN);
    await untilProbe(1_000);
    await a.acquire();
    await a.hear(CLEAR, 'probe');
    a.release('probe');
    await b.hear(CERTAIN);
    await permit(GROW_STALE_MS);
    await a.acquire();

    await permit(1_000 - GROW_STALE_MS + 300);
    expect([probers(a), probers(b)]).toEqual([1, 0]);
  });
});

describe('a store that fails', () => {
  const away = () => Promise.reject(new Error('The queue does not answer'));
  const failing = () => {
    const fails = { now: false };
    const store = (memory: BreakerStore): BreakerStore => ({
      ...memory,
      read: () => (fails.now ? away() : memory.read()),
      replace: (version, state) => (fails.now ? away() : memory.replace(version, state)),
      reserveSlot: (perSecond) => (fails.now ? away() : memory.reserveSlot(perSecond)),
    });
    return { fails, store };
  };

  it('is not asked about a clear road while the lane is open', async () => {
    const { fails, store } = failing();
    const { a } = setup({ store });
    fails.now = true;

    await expect(a.hear(CLEAR)).resolves.toBe(false);
  });

  it.each<{ what: string; report: HealthReport }>([
    { what: 'failing', report: CERTAIN },
    { what: 'a limit', report: limited() },
  ])('costs no signal the answer that it got: $what', async ({ report }) => {
    const { fails, store } = failing();
    const { a } = setup({ store });
    fails.now = true;

    await expect(a.hear(report)).resolves.toBe(false);
  });

  it('costs the probing signal no yes', async () => {
    const { fails, store } = failing();
    const { a } = setup({ store });
    await a.hear(CERTAIN);
    await untilProbe(1_000);
    await a.acquire();
    fails.now = true;

    await expect(a.hear(CLEAR, 'probe')).resolves.toBe(true);
  });

  it('admits nobody, and says so', async () => {
    const { fails, store } = failing();
    const { a } = setup({ store });
    fails.now = true;

    await expect(a.acquire()).rejects.toThrow('The queue does not answer');
  });

  it('is asked again until it answers, while the lane is closed', async () => {
    const { fails, store } = failing();
    const { a, logs } = setup({ store });
    await a.hear(CERTAIN);
    fails.now = true;

    await permit(5_000);
    expect(a.throttled).toEqual(['none']);
    fails.now = false;
    await permit(250);

    expect(a.throttled).toEqual(['none', 'one']);
    expect(logs.lines()).toContainEqual(
      expect.objectContaining({ level: 'warn', msg: 'Lane not read' }),
    );
  });
});

describe('a worker whose clock is wrong', () => {
  it('goes by the clock of the store', async () => {
    const memory = createMemoryBreakerStore(() => Date.now() + 3_600_000);
    const { a, logs } = setup({ store: () => memory });

    await a.hear(CERTAIN);
    await permit(1_250);
    expect(probers(a)).toBe(0);
    await permit(400);

    expect(probers(a)).toBe(1);
    expect(logs.lines()).toMatchObject([{ pauseMs: 1_000, since: '2026-03-01T13:00:00.000Z' }]);
  });
});

describe('a clock that is set back', () => {
  const HOUR_MS = 3_600_000;

  it('makes no worker blind to what the others know', async () => {
    // The store’s clock is another.
    const memory = createMemoryBreakerStore(() => 1_000_000 + performance.now());
    const { a, b } = setup({ workers: 2, store: () => memory });
    await b.acquire();
    jest.setSystemTime(Date.now() - HOUR_MS);
    await a.hear(CERTAIN);

    await permit(GROW_STALE_MS);
    await expect(b.acquire()).resolves.toBeUndefined();
    await untilProbe(500);

    expect(probers(a, b)).toBe(1);
  });

  it('makes no pause longer', async () => {
    const memory = createMemoryBreakerStore(() => 1_000_000 + performance.now());
    const { a } = setup({ store: () => memory });
    await a.hear(CERTAIN);

    jest.setSystemTime(Date.now() - HOUR_MS);
    await untilProbe(1_000);

    await expect(a.acquire()).resolves.toBe('probe');
  });
});

describe('a lane that is stopped', () => {
  it('looks no more', async () => {
    const { a } = setup();
    await a.hear(CERTAIN);

    void a.stop();

    expect(jest.getTimerCount()).toBe(0);
    await permit(10_000);
    expect(a.throttled).toEqual(['none']);
  });

  it('looks no more, even when it was stopped in the middle of a look', async () => {
    let answer = () => {};
    const gate = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let slow = false;
    const { a } = setup({
      store: (memory) => ({
        ...memory,
        read: async () => {
          if (slow) await gate;
          return memory.read();
        },
      }),
    });
    await a.hear(CERTAIN);
    slow = true;
    await permit(250);

    void a.stop();
    answer();
    await permit(0);

    expect(jest.getTimerCount()).toBe(0);
  });
});

describe('a worker whose own way to SEEK is broken', () => {
  /** The lane closed on A's word, and found clear by B's probe. */
  const closedInVain = async ({ a, b }: { a: Worker; b: Worker }) => {
    await a.hear(CERTAIN);
    await b.acquire();
    await waitForProbe(b);
    await b.hear(CLEAR, 'probe');
    b.release('probe');
    await permit(600);
    await a.acquire();
  };
  const waitForProbe = async (worker: Worker) => {
    for (let waited = 0; waited < 20_000; waited += 250) {
      await permit(250);
      if ((await worker.acquire()) === 'probe') return;
    }
    throw new Error('No probe');
  };

  it('closes the lane for all twice in vain, and then stays away by itself', async () => {
    const { a, b, memory, logs } = setup({ workers: 2 });
    for (let time = 1; time <= 2; time += 1) await closedInVain({ a, b });

    await a.hear(CERTAIN);

    expect((await memory.read()).state.closed).toBeUndefined();
    expect(a.throttled.at(-1)).toBe('none');
    await expect(a.acquire()).resolves.toBeUndefined();
    await expect(a.awaitSlot('normal', undefined)).resolves.toBe(false);
    await expect(b.acquire()).resolves.toBe('normal');
    expect(logs.lines().at(-1)).toMatchObject({ msg: 'delivery.suspendedLocally', pauseMs: 1_000 });
    // Nothing moves, and that is as it should be.
    expect([a.isHeldBack(), b.isHeldBack()]).toEqual([true, false]);
  });

  it('asks for the next try five seconds later than others', async () => {
    const { a, b } = setup({ workers: 2 });
    for (let time = 1; time <= 2; time += 1) await closedInVain({ a, b });
    await b.hear(CERTAIN);
    await b.stop();
    await permit(GROW_STALE_MS);
    await a.acquire();

    await permit(1_000 - GROW_STALE_MS + 4_900);
    expect(probers(a)).toBe(0);
    await permit(350);

    expect(probers(a)).toBe(1);
  });

  it('turns away what waits for its turn when it stays away by itself', async () => {
    const { a, b, memory } = setup({ workers: 2, perSecond: 1 });
    for (let time = 1; time <= 2; time += 1) await closedInVain({ a, b });
    const waiting = Promise.all([1, 2, 3, 4].map(() => a.awaitSlot('normal', undefined)));
    await permit(0);
    expect(a.isHeldBack()).toBe(true);

    await a.hear(CERTAIN);

    await expect(waiting).resolves.toEqual([true, false, false, false]);
    expect((await memory.read()).state.closed).toBeUndefined();
  });

  it('tries again with one signal, after pauses that grow, until its way is clear', async () => {
    const { a, b, logs } = setup({ workers: 2 });
    for (let time = 1; time <= 2; time += 1) await closedInVain({ a, b });
    await a.hear(CERTAIN);

    await permit(1_000);
    expect(a.throttled.at(-1)).toBe('one');
    await expect(a.acquire()).resolves.toBe('normal');
    await a.hear(TROUBLE);
    expect(logs.lines().at(-1)).toMatchObject({ msg: 'delivery.suspendedLocally', pauseMs: 2_000 });
    expect(a.throttled.at(-1)).toBe('none');

    await permit(2_000);
    await a.hear(CLEAR);
    expect(a.throttled.at(-1)).toBe('all');
    // Its word counts again.
    await a.hear(CERTAIN);
    await permit(501);
    await expect(b.acquire()).resolves.toBeUndefined();
  });
});
