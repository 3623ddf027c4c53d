import {
  createConsecutiveFailures,
  createRecentRate,
} from '../../../src/worker/circuitBreaker/failureTracking.ts';

describe('consecutive failures', () => {
  /** Adds requests. Returns after which of them the failures were enough. */
  const setup = (...requests: string[][]) => {
    const failures = createConsecutiveFailures();
    return { failures, enough: requests.map((signalIds) => failures.add(signalIds)) };
  };

  const [no, yes] = [false, true];

  it.each<{ what: string; requests: string[][]; enough: boolean[] }>([
    {
      what: 'five requests with one signal each → enough',
      requests: [['a'], ['b'], ['c'], ['d'], ['e']],
      enough: [no, no, no, no, yes],
    },
    {
      what: 'each request after the fifth → enough',
      requests: [['a'], ['b'], ['c'], ['d'], ['e'], ['f']],
      enough: [no, no, no, no, yes, yes],
    },
    {
      what: 'one signal in every request → not enough',
      requests: [['a'], ['a'], ['a'], ['a'], ['a'], ['a'], ['a']],
      enough: [no, no, no, no, no, no, no],
    },
    {
      what: 'one signal in every request, among others → not enough',
      requests: [['a', 'b', 'c', 'd'], ['a', 'b'], ['a'], ['a', 'x'], ['y', 'a'], ['a', 'b']],
      enough: [no, no, no, no, no, no],
    },
    {
      what: 'a bisected batch of which both halves fail → enough',
      requests: [['a', 'b', 'c', 'd'], ['a', 'b'], ['a'], ['b'], ['c', 'd']],
      enough: [no, no, no, no, yes],
    },
    {
      what: 'a request without the common signal → enough, with the requests before it counted',
      requests: [['a'], ['a'], ['a'], ['a'], ['a'], ['b']],
      enough: [no, no, no, no, no, yes],
    },
    {
      what: 'a signal that was missing from one request → not common',
      requests: [['a'], ['b'], ['a'], ['a'], ['a']],
      enough: [no, no, no, no, yes],
    },
  ])('$what', ({ requests, enough }) => {
    expect(setup(...requests).enough).toEqual(enough);
  });

  it('are counted from zero after a reset', () => {
    const { failures } = setup(['a'], ['b'], ['c'], ['d']);

    failures.reset();

    const enough = ['e', 'f', 'g', 'h', 'i'].map((id) => failures.add([id]));
    expect(enough).toEqual([no, no, no, no, yes]);
  });
});

describe('the recent rate', () => {
  /** Records an event at each of these milliseconds. */
  const setup = (...recordedAt: number[]) => {
    const clock = { now: 0 };
    const rate = createRecentRate(() => clock.now);
    for (const at of recordedAt) {
      clock.now = at;
      rate.record();
    }
    return {
      at: (now: number): number => {
        clock.now = now;
        return rate.perSecond();
      },
    };
  };

  it.each([
    { what: 'no event', recordedAt: [], at: 5_000, rate: 0 },
    { what: 'the current second so far', recordedAt: [5_000, 5_001, 5_999], at: 5_999, rate: 3 },
    { what: 'the last second, once it is over', recordedAt: [5_000, 5_999], at: 6_000, rate: 2 },
    {
      what: 'the last second, to the end of the current one',
      recordedAt: [5_000, 5_999],
      at: 6_999,
      rate: 2,
    },
    { what: 'no second before the last', recordedAt: [5_000, 5_999], at: 7_000, rate: 0 },
    {
      what: 'the last second, if the current one has fewer events',
      recordedAt: [5_000, 5_100, 5_200, 6_000],
      at: 6_100,
      rate: 3,
    },
    {
      what: 'the current second, if it has more events',
      recordedAt: [5_000, 6_000, 6_100, 6_200],
      at: 6_300,
      rate: 3,
    },
    { what: 'not the sum of both seconds', recordedAt: [5_999, 6_000], at: 6_000, rate: 1 },
    {
      what: 'no event from before a gap',
      recordedAt: [5_000, 5_100, 9_000],
      at: 9_500,
      rate: 1,
    },
  ])('counts $what: $rate', ({ recordedAt, at, rate }) => {
    expect(setup(...recordedAt).at(at)).toBe(rate);
  });
});
