import type { BreakerStore } from '../../../src/queue/breakerState.ts';
import { createMemoryBreakerStore } from '../../../src/queue/embedded/breakerStore.ts';
import type { HealthReport } from '../../../src/worker/circuitBreaker/healthReport.ts';
import {
  advance,
  advanceToProbe,
  CERTAIN_FAILURE,
  countProbers,
  HEALTHY,
  rateLimited,
  STALE_AFTER_MS,
  useWorkers,
} from './useWorkers.ts';

const { jest } = import.meta;

const { setup } = useWorkers();

describe('many reports at once', () => {
  it('cost few writes, and the longest Retry-After of all is kept', async () => {
    const calls = { read: 0, replace: 0 };
    const { a, b, memory, logs } = setup({
      workers: 2,
      // Slow enough for writes to overlap.
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

    const reported = Promise.all(
      Array.from({ length: 50 }, (_, number) => a.reportRequest(rateLimited(5_000 + number))),
    );
    const longer = b.reportRequest(rateLimited(9_000));
    await advance(600);
    await Promise.all([reported, longer]);

    expect(calls.replace).toBeLessThanOrEqual(5);
    // One read for each report, and one more after each write of the other worker.
    expect(calls.read).toBeLessThanOrEqual(60);
    expect(logs.text()).not.toContain('Failed to update circuit breaker');
    const { state, now } = await memory.read();
    expect(state.open).toMatchObject({ pauses: 1 });
    expect((state.open?.until ?? 0) - now).toBeGreaterThan(9_000 - 600 - 1);
  });
});

describe('a breaker store that fails', () => {
  const reject = () => Promise.reject(new Error('The queue does not answer'));
  const failing = () => {
    const fails = { now: false };
    const store = (memory: BreakerStore): BreakerStore => ({
      ...memory,
      read: () => (fails.now ? reject() : memory.read()),
      replace: (version, state) => (fails.now ? reject() : memory.replace(version, state)),
      reserveSlot: (perSecond) => (fails.now ? reject() : memory.reserveSlot(perSecond)),
    });
    return { fails, store };
  };

  it('is not called for a healthy report while the breaker is closed', async () => {
    const { fails, store } = failing();
    const { a } = setup({ store });
    fails.now = true;

    await expect(a.reportRequest(HEALTHY)).resolves.toBe(false);
  });

  it.each<{ what: string; report: HealthReport }>([
    { what: 'a failure', report: CERTAIN_FAILURE },
    { what: 'a rate limit', report: rateLimited() },
  ])('does not make a report reject: $what', async ({ report }) => {
    const { fails, store } = failing();
    const { a } = setup({ store });
    fails.now = true;

    await expect(a.reportRequest(report)).resolves.toBe(false);
  });

  it('does not make the report of a successful probe reject', async () => {
    const { fails, store } = failing();
    const { a } = setup({ store });
    await a.reportRequest(CERTAIN_FAILURE);
    await advanceToProbe(1_000);
    await a.acquire();
    fails.now = true;

    await expect(a.reportRequest(HEALTHY, 'probe')).resolves.toBe(true);
  });

  it('makes acquire reject with the error of the store', async () => {
    const { fails, store } = failing();
    const { a } = setup({ store });
    fails.now = true;

    await expect(a.acquire()).rejects.toThrow('The queue does not answer');
  });

  it('is read again until it answers, while the breaker is open', async () => {
    const { fails, store } = failing();
    const { a, logs } = setup({ store });
    await a.reportRequest(CERTAIN_FAILURE);
    fails.now = true;

    await advance(5_000);
    expect(a.concurrency).toEqual(['none']);
    fails.now = false;
    await advance(250);

    expect(a.concurrency).toEqual(['none', 'one']);
    expect(logs.lines()).toContainEqual(
      expect.objectContaining({ level: 'warn', msg: 'Failed to read circuit breaker' }),
    );
  });
});

describe('a worker with a wrong clock', () => {
  it('times its pauses by the clock of the store', async () => {
    const memory = createMemoryBreakerStore(() => Date.now() + 3_600_000);
    const { a, logs } = setup({ store: () => memory });

    await a.reportRequest(CERTAIN_FAILURE);
    await advance(1_250);
    expect(countProbers(a)).toBe(0);
    await advance(400);

    expect(countProbers(a)).toBe(1);
    expect(logs.lines()).toMatchObject([{ pauseMs: 1_000, since: '2026-03-01T13:00:00.000Z' }]);
  });
});

describe('a wall clock that is set back', () => {
  const HOUR_MS = 3_600_000;

  it('does not keep a worker from reading the shared state', async () => {
    // The store has a clock of its own.
    const memory = createMemoryBreakerStore(() => 1_000_000 + performance.now());
    const { a, b } = setup({ workers: 2, store: () => memory });
    await b.acquire();
    jest.setSystemTime(Date.now() - HOUR_MS);
    await a.reportRequest(CERTAIN_FAILURE);

    await advance(STALE_AFTER_MS);
    await expect(b.acquire()).resolves.toBeUndefined();
    await advanceToProbe(500);

    expect(countProbers(a, b)).toBe(1);
  });

  it('does not make a pause longer', async () => {
    const memory = createMemoryBreakerStore(() => 1_000_000 + performance.now());
    const { a } = setup({ store: () => memory });
    await a.reportRequest(CERTAIN_FAILURE);

    jest.setSystemTime(Date.now() - HOUR_MS);
    await advanceToProbe(1_000);

    await expect(a.acquire()).resolves.toBe('probe');
  });
});

describe('a stopped circuit breaker', () => {
  it('polls the store no more', async () => {
    const { a } = setup();
    await a.reportRequest(CERTAIN_FAILURE);

    void a.stop();

    expect(jest.getTimerCount()).toBe(0);
    await advance(10_000);
    expect(a.concurrency).toEqual(['none']);
  });

  it('polls the store no more, even if it was stopped during a read', async () => {
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
    await a.reportRequest(CERTAIN_FAILURE);
    slow = true;
    await advance(250);

    void a.stop();
    answer();
    await advance(0);

    expect(jest.getTimerCount()).toBe(0);
  });
});
