import type { BreakerState } from '../../../src/queue/breakerState.ts';
import {
  currentRate,
  restartRampUp,
  throttleDown,
} from '../../../src/worker/circuitBreaker/rateLimiter.ts';

const NOW = 1_000_000;

const throttled = (limitedAt: number, state: BreakerState = {}, now = NOW): BreakerState => {
  const lower = throttleDown(state, limitedAt, now);
  if (lower === undefined) throw new Error('no change');
  return lower;
};
/** SEEK limited the rate at 200 per second. */
const AT_150 = throttled(200);
const OPEN = {
  since: NOW,
  code: 'HTTP_429',
  reason: 'Slow down',
  pauses: 1,
  until: NOW + 10_000,
};

describe('the throttled rate', () => {
  it.each([
    { limitedAt: 500, perSecond: 375 },
    { limitedAt: 10, perSecond: 7.5 },
    // Never below five per second.
    { limitedAt: 6, perSecond: 5 },
    { limitedAt: 1, perSecond: 5 },
    { limitedAt: 0, perSecond: 5 },
  ])('is $perSecond per second after a rate limit at $limitedAt', ({ limitedAt, perSecond }) => {
    expect(throttled(limitedAt)).toEqual({ throttle: { perSecond, at: NOW } });
    expect(currentRate(throttled(limitedAt), NOW)).toBe(perSecond);
  });

  it.each([
    { afterMs: 0, rate: 150 },
    { afterMs: 30_000, rate: 150 },
    { afterMs: 31_500, rate: 150 * Math.SQRT2 },
    { afterMs: 33_000, rate: 300 },
    { afterMs: 36_000, rate: 600 },
    { afterMs: 38_200, rate: 997 },
    { afterMs: 38_300, rate: undefined },
    { afterMs: 1e9, rate: undefined },
    // The clock of the store may be set back.
    { afterMs: -5_000, rate: 150 },
  ])('is held, then ramps up until nothing is limited: $rate after $afterMs ms', (row) => {
    const rate = currentRate(AT_150, NOW + row.afterMs);

    if (row.rate === undefined) expect(rate).toBeUndefined();
    else expect(Math.abs((rate ?? 0) - row.rate)).toBeLessThan(1);
  });

  it('does not rise while the breaker is open, and continues from there when it closes', () => {
    const later = NOW + 60_000;

    expect(currentRate({ ...AT_150, open: OPEN }, later)).toBe(150);
    expect(currentRate(restartRampUp(AT_150.throttle, later), later)).toBe(150);
    expect(restartRampUp(undefined, later)).toEqual({});
  });

  it('is undefined if SEEK never limited the rate', () => {
    expect(currentRate({}, NOW)).toBeUndefined();
  });

  it('is lowered from its present value by a second rate limit', () => {
    // 150 has risen to 300.
    expect(throttled(999, AT_150, NOW + 33_000).throttle).toEqual({
      perSecond: expect.closeTo(225),
      at: NOW + 33_000,
    });
  });

  it('starts from the recent rate again once it had ramped up completely', () => {
    expect(throttled(400, AT_150, NOW + 60_000).throttle).toEqual({
      perSecond: 300,
      at: NOW + 60_000,
    });
  });

  it.each([
    { afterMs: 0, changes: false },
    { afterMs: 999, changes: false },
    { afterMs: 1_000, changes: true },
  ])('is lowered at most once a second: $changes after $afterMs ms', (row) => {
    expect(throttleDown(AT_150, 200, NOW + row.afterMs) !== undefined).toBe(row.changes);
  });

  it('is lowered without closing an open breaker', () => {
    expect(throttled(200, { open: OPEN })).toEqual({ open: OPEN, throttle: AT_150.throttle });
  });

  it('stays near SEEK’s limit: few requests of a minute are rejected', () => {
    const limit = 20;
    let state = throttled(60);
    let sent = 0;
    let rejections = 0;
    for (let second = 1; second <= 60; second += 1) {
      const now = NOW + second * 1_000;
      const rate = currentRate(state, now) ?? Number.POSITIVE_INFINITY;
      if (rate > limit) {
        rejections += 1;
        state = throttleDown(state, rate, now) ?? state;
      } else sent += rate;
    }

    expect(rejections).toBeLessThan(8);
    expect(sent).toBeGreaterThan(0.6 * limit * 60);
  });
});
