import { createConsecutiveFailures } from '../../../src/worker/circuitBreaker/failureTracking.ts';

/** What the streak says of each request in turn. */
const setup = (...requests: string[][]) => {
  const streak = createConsecutiveFailures();
  return { streak, said: requests.map((signalIds) => streak.add(signalIds)) };
};

const [no, yes] = [false, true];

describe('trouble of requests in a row', () => {
  it.each<{ what: string; requests: string[][]; said: boolean[] }>([
    {
      what: 'five with a signal each of their own are enough',
      requests: [['a'], ['b'], ['c'], ['d'], ['e']],
      said: [no, no, no, no, yes],
    },
    {
      what: 'and so is each further one',
      requests: [['a'], ['b'], ['c'], ['d'], ['e'], ['f']],
      said: [no, no, no, no, yes, yes],
    },
    {
      what: 'one signal tried again and again is not',
      requests: [['a'], ['a'], ['a'], ['a'], ['a'], ['a'], ['a']],
      said: [no, no, no, no, no, no, no],
    },
    {
      what: 'a signal that was in each may be at fault, whatever came with it',
      requests: [['a', 'b', 'c', 'd'], ['a', 'b'], ['a'], ['a', 'x'], ['y', 'a'], ['a', 'b']],
      said: [no, no, no, no, no, no],
    },
    {
      what: 'a batch that is halved in vain is, once both halves were tried',
      requests: [['a', 'b', 'c', 'd'], ['a', 'b'], ['a'], ['b'], ['c', 'd']],
      said: [no, no, no, no, yes],
    },
    {
      what: 'the first without it counts those before it',
      requests: [['a'], ['a'], ['a'], ['a'], ['a'], ['b']],
      said: [no, no, no, no, no, yes],
    },
    {
      what: 'a signal that comes again after it was missing was not in each',
      requests: [['a'], ['b'], ['a'], ['a'], ['a']],
      said: [no, no, no, no, yes],
    },
  ])('$what', ({ requests, said }) => {
    expect(setup(...requests).said).toEqual(said);
  });

  it('are counted anew once the row has ended', () => {
    const { streak } = setup(['a'], ['b'], ['c'], ['d']);

    streak.end();

    const said = ['e', 'f', 'g', 'h', 'i'].map((id) => streak.add([id]));
    expect(said).toEqual([no, no, no, no, yes]);
  });
});
