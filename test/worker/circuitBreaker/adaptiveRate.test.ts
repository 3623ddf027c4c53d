import type { BreakerState } from '../../../src/queue/breakerState.ts';
import { paceOf, resumed, slow } from '../../../src/worker/circuitBreaker/rateLimiter.ts';

const NOW = 1_000_000;

const limited = (limitedAt: number, state: BreakerState = {}, now = NOW): BreakerState => {
  const slower = slow(state, limitedAt, now);
  if (slower === undefined) throw new Error('no change');
  return slower;
};
/** SEEK complained at 200 a second. */
const AT_150 = limited(200);
const CLOSED = {
  since: NOW,
  code: 'HTTP_429',
  reason: 'Slow down',
  pauses: 1,
  until: NOW + 10_000,
};

describe('the pace', () => {
  it.each([
    { limitedAt: 500, perSecond: 375 },
    { limitedAt: 10, perSecond: 7.5 },
    // Never slower than five a second.
    { limitedAt: 6, perSecond: 5 },
    { limitedAt: 1, perSecond: 5 },
    { limitedAt: 0, perSecond: 5 },
  ])('is $perSecond a second when SEEK complained at $limitedAt', ({ limitedAt, perSecond }) => {
    expect(limited(limitedAt)).toEqual({ pace: { perSecond, at: NOW } });
    expect(paceOf(limited(limitedAt), NOW)).toBe(perSecond);
  });

  it.each([
    { afterMs: 0, pace: 150 },
    { afterMs: 30_000, pace: 150 },
    { afterMs: 31_500, pace: 150 * Math.SQRT2 },
    { afterMs: 33_000, pace: 300 },
    { afterMs: 36_000, pace: 600 },
    { afterMs: 38_200, pace: 997 },
    { afterMs: 38_300, pace: undefined },
    { afterMs: 1e9, pace: undefined },
    // The clock of the store may step back.
    { afterMs: -5_000, pace: 150 },
  ])('is held, and then rises until it slows nobody: $pace after $afterMs ms', (row) => {
    const now = paceOf(AT_150, NOW + row.afterMs);

    if (row.pace === undefined) expect(now).toBeUndefined();
    else expect(Math.abs((now ?? 0) - row.pace)).toBeLessThan(1);
  });

  it('rests while the lane is closed, and goes on when it opens', () => {
    const later = NOW + 60_000;

    expect(paceOf({ ...AT_150, closed: CLOSED }, later)).toBe(150);
    expect(paceOf(resumed(AT_150.pace, later), later)).toBe(150);
    expect(resumed(undefined, later)).toEqual({});
  });

  it('is nothing where SEEK never complained', () => {
    expect(paceOf({}, NOW)).toBeUndefined();
  });

  it('becomes slower by a second complaint from what it has become by then', () => {
    // 150 had become 300.
    expect(limited(999, AT_150, NOW + 33_000).pace).toEqual({
      ...{ perSecond: expect.closeTo(225), at: NOW + 33_000 },
    });
  });

  it('begins again at the rate of the complaint once it slowed nobody', () => {
    expect(limited(400, AT_150, NOW + 60_000).pace).toEqual({
      ...{ perSecond: 300, at: NOW + 60_000 },
    });
  });

  it.each([
    { afterMs: 0, heard: false },
    { afterMs: 999, heard: false },
    { afterMs: 1_000, heard: true },
  ])('is changed at most once a second: a complaint after $afterMs ms, $heard', (row) => {
    expect(slow(AT_150, 200, NOW + row.afterMs) !== undefined).toBe(row.heard);
  });

  it('leaves a closed lane closed', () => {
    expect(limited(200, { closed: CLOSED })).toEqual({ closed: CLOSED, pace: AT_150.pace });
  });

  it('finds a limit, and keeps near it: of a minute, little is lost to complaints', () => {
    const limit = 20;
    let state = limited(60);
    let made = 0;
    let complaints = 0;
    for (let second = 1; second <= 60; second += 1) {
      const now = NOW + second * 1_000;
      const pace = paceOf(state, now) ?? Number.POSITIVE_INFINITY;
      if (pace > limit) {
        complaints += 1;
        state = slow(state, pace, now) ?? state;
      } else made += pace;
    }

    expect(complaints).toBeLessThan(8);
    expect(made).toBeGreaterThan(0.6 * limit * 60);
  });
});
