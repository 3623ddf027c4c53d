import type { HealthReport } from '../../../src/worker/circuitBreaker/healthReport.ts';
import {
  advance,
  CERTAIN_FAILURE,
  countProbers,
  FAILING,
  HEALTHY,
  rateLimited,
  STALE_AFTER_MS,
  useWorkers,
} from './useWorkers.ts';

const { setup } = useWorkers();

describe('a closed circuit breaker', () => {
  it('permits every signal and every request, and does not limit the concurrency', async () => {
    const { a } = setup();

    await expect(a.acquire()).resolves.toBe('normal');
    await expect(a.awaitSlot('normal', undefined)).resolves.toBe(true);
    await a.reportRequest(HEALTHY);

    expect([a.isSuspended(), a.concurrency]).toEqual([false, []]);
  });

  it('opens after five consecutive failures with no common signal', async () => {
    const { a } = setup();
    await a.acquire();

    for (let number = 1; number <= 4; number += 1) await a.reportRequest(FAILING);
    expect(a.isSuspended()).toBe(false);
    await a.reportRequest(FAILING);

    expect([a.isSuspended(), a.concurrency]).toEqual([true, ['none']]);
    await expect(a.acquire()).resolves.toBeUndefined();
  });

  it('stays closed while all failures have a signal in common', async () => {
    const { a } = setup();

    for (let number = 1; number <= 20; number += 1)
      await a.reportRequest(FAILING, 'normal', ['same']);

    expect(a.isSuspended()).toBe(false);
  });

  it('starts to count failures again after a healthy request', async () => {
    const { a } = setup();

    for (let number = 1; number <= 4; number += 1) await a.reportRequest(FAILING);
    await a.reportRequest(HEALTHY);
    for (let number = 1; number <= 4; number += 1) await a.reportRequest(FAILING);
    expect(a.isSuspended()).toBe(false);
    await a.reportRequest(FAILING);

    expect(a.isSuspended()).toBe(true);
  });

  it.each<{ what: string; report: HealthReport }>([
    { what: 'a failure without a request sent', report: CERTAIN_FAILURE },
    { what: 'a rate limit with Retry-After', report: rateLimited(2_000) },
  ])('opens at once after $what', async ({ report }) => {
    const { a } = setup();

    await a.reportRequest(report);

    expect([a.isSuspended(), a.concurrency]).toEqual([true, ['none']]);
  });

  it('throttles after a rate limit, and opens after five consecutive ones', async () => {
    const { a, logs, memory } = setup();

    for (let number = 1; number <= 4; number += 1) await a.reportRequest(rateLimited());
    expect(a.isSuspended()).toBe(false);
    expect((await memory.read()).state.throttle).toMatchObject({ perSecond: 5 });
    await a.reportRequest(rateLimited());

    expect([a.isSuspended(), a.concurrency]).toEqual([true, ['none']]);
    expect(logs.lines()).toMatchObject([
      // Logged once: rate limits within a second count as one.
      { level: 'info', msg: 'delivery.throttled', limitedAt: 0, perSecond: 5 },
      { level: 'warn', msg: 'delivery.suspended', code: 'RATE_LIMITED', limitedAt: 0 },
    ]);
  });

  it('counts rate limits and other failures together → opens after five consecutive ones', async () => {
    const { a } = setup();

    for (const report of [FAILING, rateLimited(), FAILING, rateLimited()])
      await a.reportRequest(report);
    expect(a.isSuspended()).toBe(false);
    await a.reportRequest(FAILING);

    expect(a.isSuspended()).toBe(true);
  });

  it('logs the time, code, reason and pause when it opens', async () => {
    const { a, logs } = setup();

    await a.reportRequest(CERTAIN_FAILURE);

    expect(logs.lines()).toEqual([
      expect.objectContaining({
        level: 'warn',
        msg: 'delivery.suspended',
        code: 'HTTP_503',
        pauses: 1,
        pauseMs: 1_000,
        reason: 'HTTP 503 without a GraphQL answer',
        since: '2026-03-01T12:00:00.000Z',
      }),
    ]);
  });
});

describe('a circuit breaker that one worker opened', () => {
  it('permits no signal of another worker once half a second has passed', async () => {
    const { a, b } = setup({ workers: 2 });
    await b.acquire();
    await a.reportRequest(CERTAIN_FAILURE);

    await advance(STALE_AFTER_MS);

    await expect(b.acquire()).resolves.toBeUndefined();
    expect(b.concurrency).toEqual(['none']);
  });

  it('permits no request of another worker’s signals in flight either', async () => {
    const { a, b } = setup({ workers: 2 });
    await expect(b.acquire()).resolves.toBe('normal');
    await a.reportRequest(CERTAIN_FAILURE);

    await advance(STALE_AFTER_MS);

    await expect(b.awaitSlot('normal', undefined)).resolves.toBe(false);
    expect(b.isSuspended()).toBe(true);
  });

  it('permits no request of the worker’s own signals in flight', async () => {
    const { a } = setup();
    await expect(a.acquire()).resolves.toBe('normal');

    await a.reportRequest(CERTAIN_FAILURE);

    await expect(a.awaitSlot('normal', undefined)).resolves.toBe(false);
  });

  it('stays open for one pause although many requests report the same failure at once', async () => {
    const { a, b, logs, memory } = setup({ workers: 2 });

    await Promise.all([a, b, a, b].map((worker) => worker.reportRequest(CERTAIN_FAILURE)));

    expect(logs.lines().map(({ msg }) => msg)).toEqual(['delivery.suspended']);
    expect((await memory.read()).state.open).toMatchObject({ pauses: 1 });
  });

  it('stays open for SEEK’s Retry-After if that is longer than the pause', async () => {
    const { a, b, logs } = setup({ workers: 2 });
    await a.reportRequest(rateLimited(10_000));
    await b.acquire();

    await advance(9_900);
    expect(countProbers(a, b)).toBe(0);
    await advance(350);

    expect(countProbers(a, b)).toBe(1);
    expect(logs.lines()).toMatchObject([
      { msg: 'delivery.suspended', pauseMs: 10_000, limitedAt: 0 },
    ]);
  });
});
