import type { BreakerState } from '../../../src/queue/breakerState.ts';
import {
  close,
  type Failure,
  open,
  pauseMs,
  takeProbe,
  yieldProbe,
} from '../../../src/worker/circuitBreaker/transitions.ts';

const NOW = 1_000_000;
const HOUR_MS = 3_600_000;
const MAX_MS = 60_000;
const middle = () => 0.5;

const TROUBLE: Failure = { code: 'HTTP_503', reason: 'HTTP 503 without a GraphQL answer' };

const closeBy = (by: string, state: BreakerState, failure: Partial<Failure> = {}, now = NOW) =>
  close(state, { ...TROUBLE, ...failure }, { by, now, maxMs: MAX_MS, random: middle });

const must = (state: BreakerState | undefined): BreakerState => {
  if (state === undefined) throw new Error('no change');
  return state;
};

/** Closed at NOW for its first pause, and nobody tries. */
const CLOSED = must(closeBy('anyone', {}));
/** Closed, the first pause over, and `prober` has the next try. */
const PROBED = must(takeProbe(CLOSED, 'prober', NOW + 1_000));

describe('a pause', () => {
  it.each([
    { number: 1, least: 800, planned: 1_000, most: 1_200 },
    { number: 2, least: 1_600, planned: 2_000, most: 2_400 },
    { number: 3, least: 3_200, planned: 4_000, most: 4_800 },
    { number: 6, least: 25_600, planned: 32_000, most: 38_400 },
    // At the longest there is room for less only.
    { number: 7, least: 48_000, planned: 60_000, most: 60_000 },
    { number: 8, least: 48_000, planned: 60_000, most: 60_000 },
    { number: 5_000, least: 48_000, planned: 60_000, most: 60_000 },
  ])('number $number is $planned ms, and from $least to $most', (row) => {
    const at = (random: number) => pauseMs(row.number, { maxMs: MAX_MS, random: () => random });

    expect([at(0), at(0.5), at(1)]).toEqual([row.least, row.planned, row.most]);
  });

  it('is never above the longest, were that less than the first', () => {
    expect(pauseMs(1, { maxMs: 300, random: () => 1 })).toBe(300);
  });
});

describe('failing', () => {
  it('closes the lane for the first pause, and says why and since when', () => {
    expect(closeBy('anyone', {})).toEqual({
      closed: { since: NOW, ...TROUBLE, pauses: 1, until: NOW + 1_000 },
    });
  });

  it('that the prober met makes the pause longer, and gives the next try away', () => {
    const later = NOW + 1_500;
    const state = must(closeBy('prober', PROBED, { code: 'HTTP_502', reason: 'Other' }, later));

    expect(state).toEqual({
      closed: {
        ...{ since: NOW, code: 'HTTP_502', reason: 'Other' },
        ...{ pauses: 2, until: later + 2_000 },
      },
    });
  });

  it('met by one prober after the other doubles the pause up to the longest', () => {
    const pauses: number[] = [];
    let state = CLOSED;
    let now = NOW;
    for (let number = 1; number <= 9; number += 1) {
      const until = state.closed?.until ?? Number.NaN;
      pauses.push(until - now);
      now = until;
      state = must(takeProbe(state, `worker-${number}`, now));
      state = must(closeBy(`worker-${number}`, state, {}, now));
    }

    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  it.each([
    { what: 'nobody tries', state: CLOSED, by: 'late' },
    { what: 'another tries', state: PROBED, by: 'late' },
    { what: 'it is limited', state: CLOSED, by: 'late', failure: { limitedAt: 100 } },
    {
      what: 'a short wait is asked for',
      state: CLOSED,
      by: 'late',
      failure: { retryAfterMs: 999 },
    },
  ])('that comes late changes nothing while the lane is closed: $what', (row) => {
    expect(closeBy(row.by, row.state, row.failure)).toBeUndefined();
  });

  it('that comes late makes a pause longer where SEEK asks for it, and changes nothing else', () => {
    const state = must(
      closeBy('late', PROBED, { retryAfterMs: 9_000, limitedAt: 100, code: 'HTTP_429' }),
    );

    expect(state).toEqual({ closed: { ...PROBED.closed, until: NOW + 9_000 } });
  });

  it.each([
    { retryAfterMs: 500, untilMs: 1_000 },
    { retryAfterMs: 7_000, untilMs: 7_000 },
    // Longer than our own longest.
    { retryAfterMs: HOUR_MS, untilMs: HOUR_MS },
    { retryAfterMs: 24 * HOUR_MS, untilMs: HOUR_MS },
  ])('with a Retry-After of $retryAfterMs ms closes the lane for $untilMs ms', (row) => {
    const { retryAfterMs, untilMs } = row;

    expect(closeBy('anyone', {}, { retryAfterMs })).toHaveProperty('closed.until', NOW + untilMs);
    const late = closeBy('late', CLOSED, { retryAfterMs }) ?? CLOSED;
    expect(late).toHaveProperty('closed.until', NOW + untilMs);
  });

  it.each([
    { retryAfterMs: 1_000, told: false },
    { retryAfterMs: 1_250, told: false },
    { retryAfterMs: 1_251, told: true },
  ])('that comes late is worth telling by a quarter of a second: $retryAfterMs ms', (row) => {
    const state = closeBy('late', CLOSED, { retryAfterMs: row.retryAfterMs });

    if (row.told) expect(state).toHaveProperty('closed.until', NOW + row.retryAfterMs);
    else expect(state).toBeUndefined();
  });

  it('keeps the pace as it is, unless it is about the pace', () => {
    const pace = { perSecond: 12, at: 5 };

    expect(closeBy('anyone', { pace })).toHaveProperty('pace', pace);
  });

  it('makes the pace slower when it is SEEK’s limit, but once: a prober’s says nothing of it', () => {
    const pace = { perSecond: 100, at: NOW };

    expect(closeBy('anyone', {}, { limitedAt: 200 })).toHaveProperty('pace.perSecond', 150);
    expect(closeBy('prober', { ...PROBED, pace }, { limitedAt: 1 })).toMatchObject({
      ...{ pace, closed: { pauses: 2 } },
    });
    expect(closeBy('prober', PROBED, { limitedAt: 1 })).not.toHaveProperty('pace');
    expect(closeBy('late', { ...PROBED, pace }, { limitedAt: 1 })).toBeUndefined();
  });
});

describe('a success', () => {
  it('of the prober opens the lane, and keeps the pace', () => {
    const pace = { perSecond: 12, at: NOW };

    expect(open({ ...PROBED, pace }, 'prober', NOW + 60_000)).toEqual({
      pace: { ...pace, at: NOW + 60_000 },
    });
    expect(open(PROBED, 'prober', NOW)).toEqual({});
  });

  it.each([
    { what: 'of another worker', state: PROBED, by: 'late' },
    { what: 'while nobody tries', state: CLOSED, by: 'prober' },
    { what: 'while the lane is open', state: {}, by: 'prober' },
  ])('opens nothing $what', ({ state, by }) => {
    expect(open(state, by, NOW)).toBeUndefined();
  });
});

describe('the next try', () => {
  const LEASE_MS = 5_000;
  const due = NOW + 1_000;
  const takenAt = (now: number) => ({
    closed: { ...CLOSED.closed, probe: { by: 'prober', until: now + LEASE_MS } },
  });

  it.each<{ what: string; state: BreakerState; by: string; now: number; gets: boolean }>([
    { what: 'nobody, while the lane is open', state: {}, by: 'prober', now: due, gets: false },
    {
      what: 'nobody before the pause’s end',
      state: CLOSED,
      by: 'prober',
      now: due - 1,
      gets: false,
    },
    { what: 'who comes first after it', state: CLOSED, by: 'prober', now: due, gets: true },
    { what: 'no other while it is held', state: PROBED, by: 'other', now: due, gets: false },
    {
      ...{ what: 'no other until the lease has run out', state: PROBED, by: 'other' },
      ...{ now: due + LEASE_MS - 1, gets: false },
    },
    {
      ...{ what: 'another when the lease has run out', state: PROBED, by: 'other' },
      ...{ now: due + LEASE_MS, gets: true },
    },
  ])('is given to $what', ({ state, by, now, gets }) => {
    const taken = takeProbe(state, by, now);

    if (!gets) expect(taken).toBeUndefined();
    else expect(taken).toHaveProperty('closed.probe', { by, until: now + LEASE_MS });
  });

  it.each([due + 1, due + LEASE_MS, due + 10 * LEASE_MS])(
    'is kept by its holder, who renews the lease (at %i)',
    (now) => {
      expect(takeProbe(PROBED, 'prober', now)).toEqual(takenAt(now));
    },
  );

  it('is given to who comes where the clock was set back under a pause or a lease', () => {
    const yesterday = due - 24 * HOUR_MS;

    expect(takeProbe(CLOSED, 'prober', yesterday)).toHaveProperty('closed.probe.by', 'prober');
    expect(takeProbe(PROBED, 'other', yesterday)).toHaveProperty('closed.probe.by', 'other');
  });

  it('is renewed by its holder while a Retry-After goes on, and taken by no other', () => {
    const longer = must(closeBy('late', PROBED, { retryAfterMs: 60_000 }));

    expect(takeProbe(longer, 'prober', due)).toHaveProperty('closed.probe.by', 'prober');
    expect(takeProbe(longer, 'other', due + LEASE_MS)).toBeUndefined();
  });

  it('that is yielded is free for whoever comes', () => {
    const yielded = must(yieldProbe(PROBED, 'prober'));

    expect(yielded).toEqual(CLOSED);
    expect(takeProbe(yielded, 'other', due)).toHaveProperty('closed.probe.by', 'other');
  });

  it.each([
    { what: 'another’s', state: PROBED },
    { what: 'nobody’s', state: CLOSED },
    { what: 'of an open lane', state: {} },
  ])('is not yielded by who does not hold it: $what', ({ state }) => {
    expect(yieldProbe(state, 'other')).toBeUndefined();
  });
});
