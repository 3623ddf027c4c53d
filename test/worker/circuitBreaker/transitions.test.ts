import type { BreakerState } from '../../../src/queue/breakerState.ts';
import {
  pauseMs,
  reset,
  type SeekFailure,
  takeProbe,
  trip,
  yieldProbe,
} from '../../../src/worker/circuitBreaker/transitions.ts';

const NOW = 1_000_000;
const HOUR_MS = 3_600_000;
const MAX_MS = 60_000;
const middle = () => 0.5;

const FAILURE: SeekFailure = { code: 'HTTP_503', reason: 'HTTP 503 without a GraphQL answer' };

const tripBy = (by: string, state: BreakerState, failure: Partial<SeekFailure> = {}, now = NOW) =>
  trip(state, { ...FAILURE, ...failure }, { by, now, maxMs: MAX_MS, random: middle });

const must = (state: BreakerState | undefined): BreakerState => {
  if (state === undefined) throw new Error('no change');
  return state;
};

/** Opened at NOW for its first pause; no worker holds the probe. */
const OPEN = must(tripBy('anyone', {}));
/** The first pause is over, and `prober` holds the probe. */
const HALF_OPEN = must(takeProbe(OPEN, 'prober', NOW + 1_000));

describe('a pause', () => {
  it.each([
    { number: 1, min: 800, planned: 1_000, max: 1_200 },
    { number: 2, min: 1_600, planned: 2_000, max: 2_400 },
    { number: 3, min: 3_200, planned: 4_000, max: 4_800 },
    { number: 6, min: 25_600, planned: 32_000, max: 38_400 },
    // At the maximum, the jitter can only shorten the pause.
    { number: 7, min: 48_000, planned: 60_000, max: 60_000 },
    { number: 8, min: 48_000, planned: 60_000, max: 60_000 },
    { number: 5_000, min: 48_000, planned: 60_000, max: 60_000 },
  ])('number $number is $planned ms, with jitter from $min to $max', (row) => {
    const at = (random: number) => pauseMs(row.number, { maxMs: MAX_MS, random: () => random });

    expect([at(0), at(0.5), at(1)]).toEqual([row.min, row.planned, row.max]);
  });

  it('is never above the maximum, even if that is below the first pause', () => {
    expect(pauseMs(1, { maxMs: 300, random: () => 1 })).toBe(300);
  });
});

describe('a failure', () => {
  it('opens a closed breaker for the first pause, and records the code, reason and time', () => {
    expect(tripBy('anyone', {})).toEqual({
      open: { since: NOW, ...FAILURE, pauses: 1, until: NOW + 1_000 },
    });
  });

  it('of the probe makes the pause longer, and frees the probe', () => {
    const later = NOW + 1_500;
    const state = must(tripBy('prober', HALF_OPEN, { code: 'HTTP_502', reason: 'Other' }, later));

    expect(state).toEqual({
      open: {
        since: NOW,
        code: 'HTTP_502',
        reason: 'Other',
        pauses: 2,
        until: later + 2_000,
      },
    });
  });

  it('of one probe after the other doubles the pause up to the maximum', () => {
    const pauses: number[] = [];
    let state = OPEN;
    let now = NOW;
    for (let number = 1; number <= 9; number += 1) {
      const until = state.open?.until ?? Number.NaN;
      pauses.push(until - now);
      now = until;
      state = must(takeProbe(state, `worker-${number}`, now));
      state = must(tripBy(`worker-${number}`, state, {}, now));
    }

    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  it.each([
    { what: 'no worker probes', state: OPEN, by: 'late' },
    { what: 'another worker probes', state: HALF_OPEN, by: 'late' },
    { what: 'it is a rate limit', state: OPEN, by: 'late', failure: { limitedAt: 100 } },
    {
      what: 'its Retry-After ends before the pause',
      state: OPEN,
      by: 'late',
      failure: { retryAfterMs: 999 },
    },
  ])('of a request in flight changes nothing while the breaker is open: $what', (row) => {
    expect(tripBy(row.by, row.state, row.failure)).toBeUndefined();
  });

  it('of a request in flight with a longer Retry-After extends the pause, and changes nothing else', () => {
    const state = must(
      tripBy('late', HALF_OPEN, { retryAfterMs: 9_000, limitedAt: 100, code: 'HTTP_429' }),
    );

    expect(state).toEqual({ open: { ...HALF_OPEN.open, until: NOW + 9_000 } });
  });

  it.each([
    { retryAfterMs: 500, untilMs: 1_000 },
    { retryAfterMs: 7_000, untilMs: 7_000 },
    // Longer than the maximum of our own pauses.
    { retryAfterMs: HOUR_MS, untilMs: HOUR_MS },
    { retryAfterMs: 24 * HOUR_MS, untilMs: HOUR_MS },
  ])('with a Retry-After of $retryAfterMs ms opens the breaker for $untilMs ms', (row) => {
    const { retryAfterMs, untilMs } = row;

    expect(tripBy('anyone', {}, { retryAfterMs })).toHaveProperty('open.until', NOW + untilMs);
    const late = tripBy('late', OPEN, { retryAfterMs }) ?? OPEN;
    expect(late).toHaveProperty('open.until', NOW + untilMs);
  });

  it.each([
    { retryAfterMs: 1_000, extends: false },
    { retryAfterMs: 1_250, extends: false },
    { retryAfterMs: 1_251, extends: true },
  ])(
    'of a request in flight extends the pause by more than 250 ms or not at all: $retryAfterMs ms',
    (row) => {
      const state = tripBy('late', OPEN, { retryAfterMs: row.retryAfterMs });

      if (row.extends) expect(state).toHaveProperty('open.until', NOW + row.retryAfterMs);
      else expect(state).toBeUndefined();
    },
  );

  it('without a rate limit keeps the throttle as it is', () => {
    const throttle = { perSecond: 12, at: 5 };

    expect(tripBy('anyone', { throttle })).toHaveProperty('throttle', throttle);
  });

  it('with a rate limit lowers the rate, unless a probe or a request in flight reports it', () => {
    const throttle = { perSecond: 100, at: NOW };

    expect(tripBy('anyone', {}, { limitedAt: 200 })).toHaveProperty('throttle.perSecond', 150);
    expect(tripBy('prober', { ...HALF_OPEN, throttle }, { limitedAt: 1 })).toMatchObject({
      throttle,
      open: { pauses: 2 },
    });
    expect(tripBy('prober', HALF_OPEN, { limitedAt: 1 })).not.toHaveProperty('throttle');
    expect(tripBy('late', { ...HALF_OPEN, throttle }, { limitedAt: 1 })).toBeUndefined();
  });
});

describe('a successful probe', () => {
  it('closes the breaker, and restarts the ramp-up of the throttle', () => {
    const throttle = { perSecond: 12, at: NOW };

    expect(reset({ ...HALF_OPEN, throttle }, 'prober', NOW + 60_000)).toEqual({
      throttle: { ...throttle, at: NOW + 60_000 },
    });
    expect(reset(HALF_OPEN, 'prober', NOW)).toEqual({});
  });

  it.each([
    { what: 'of another worker', state: HALF_OPEN, by: 'late' },
    { what: 'while no worker probes', state: OPEN, by: 'prober' },
    { what: 'that is closed already', state: {}, by: 'prober' },
  ])('closes no breaker $what', ({ state, by }) => {
    expect(reset(state, by, NOW)).toBeUndefined();
  });
});

describe('the probe', () => {
  const LEASE_MS = 5_000;
  const due = NOW + 1_000;
  const takenAt = (now: number) => ({
    open: { ...OPEN.open, probe: { by: 'prober', until: now + LEASE_MS } },
  });

  it.each<{ what: string; state: BreakerState; by: string; now: number; gets: boolean }>([
    {
      what: 'no worker while the breaker is closed',
      state: {},
      by: 'prober',
      now: due,
      gets: false,
    },
    {
      what: 'no worker before the end of the pause',
      state: OPEN,
      by: 'prober',
      now: due - 1,
      gets: false,
    },
    { what: 'the first worker after the pause', state: OPEN, by: 'prober', now: due, gets: true },
    {
      what: 'no other worker while it is held',
      state: HALF_OPEN,
      by: 'other',
      now: due,
      gets: false,
    },
    {
      what: 'no other worker before the lease ends',
      state: HALF_OPEN,
      by: 'other',
      now: due + LEASE_MS - 1,
      gets: false,
    },
    {
      what: 'another worker when the lease has ended',
      state: HALF_OPEN,
      by: 'other',
      now: due + LEASE_MS,
      gets: true,
    },
  ])('is given to $what', ({ state, by, now, gets }) => {
    const taken = takeProbe(state, by, now);

    if (!gets) expect(taken).toBeUndefined();
    else expect(taken).toHaveProperty('open.probe', { by, until: now + LEASE_MS });
  });

  it.each([due + 1, due + LEASE_MS, due + 10 * LEASE_MS])(
    'stays with its holder, which renews the lease (at %i)',
    (now) => {
      expect(takeProbe(HALF_OPEN, 'prober', now)).toEqual(takenAt(now));
    },
  );

  it('is given to any worker if the clock was set back during a pause or a lease', () => {
    const yesterday = due - 24 * HOUR_MS;

    expect(takeProbe(OPEN, 'prober', yesterday)).toHaveProperty('open.probe.by', 'prober');
    expect(takeProbe(HALF_OPEN, 'other', yesterday)).toHaveProperty('open.probe.by', 'other');
  });

  it('is renewed by its holder during a Retry-After, and given to no other worker', () => {
    const extended = must(tripBy('late', HALF_OPEN, { retryAfterMs: 60_000 }));

    expect(takeProbe(extended, 'prober', due)).toHaveProperty('open.probe.by', 'prober');
    expect(takeProbe(extended, 'other', due + LEASE_MS)).toBeUndefined();
  });

  it('that is yielded is given to any worker', () => {
    const yielded = must(yieldProbe(HALF_OPEN, 'prober'));

    expect(yielded).toEqual(OPEN);
    expect(takeProbe(yielded, 'other', due)).toHaveProperty('open.probe.by', 'other');
  });

  it.each([
    { what: 'another worker holds it', state: HALF_OPEN },
    { what: 'no worker holds it', state: OPEN },
    { what: 'the breaker is closed', state: {} },
  ])('is not yielded by a worker that does not hold it: $what', ({ state }) => {
    expect(yieldProbe(state, 'other')).toBeUndefined();
  });
});
