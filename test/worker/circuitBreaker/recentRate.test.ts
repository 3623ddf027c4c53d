import { createRecentRate } from '../../../src/worker/circuitBreaker/failureTracking.ts';

/** Notes something at each of these milliseconds. */
const setup = (...notedAt: number[]) => {
  const clock = { now: 0 };
  const rate = createRecentRate(() => clock.now);
  for (const at of notedAt) {
    clock.now = at;
    rate.note();
  }
  return {
    at: (now: number): number => {
      clock.now = now;
      return rate.perSecond();
    },
  };
};

describe('the recent rate', () => {
  it.each([
    { what: 'nothing', notedAt: [], at: 5_000, rate: 0 },
    { what: 'this second as it goes on', notedAt: [5_000, 5_001, 5_999], at: 5_999, rate: 3 },
    { what: 'the last second, when it is over', notedAt: [5_000, 5_999], at: 6_000, rate: 2 },
    { what: 'the last second to its end', notedAt: [5_000, 5_999], at: 6_999, rate: 2 },
    { what: 'no second before the last', notedAt: [5_000, 5_999], at: 7_000, rate: 0 },
    {
      what: 'the last second where this one has less',
      notedAt: [5_000, 5_100, 5_200, 6_000],
      at: 6_100,
      rate: 3,
    },
    {
      what: 'this second where it has more',
      notedAt: [5_000, 6_000, 6_100, 6_200],
      at: 6_300,
      rate: 3,
    },
    { what: 'no sum of the two', notedAt: [5_999, 6_000], at: 6_000, rate: 1 },
    { what: 'nothing after a pause', notedAt: [5_000, 5_100, 9_000], at: 9_500, rate: 1 },
  ])('counts $what: $rate', ({ notedAt, at, rate }) => {
    expect(setup(...notedAt).at(at)).toBe(rate);
  });
});
