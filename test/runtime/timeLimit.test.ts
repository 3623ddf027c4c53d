import { startTimeLimit, withDeadline } from '../../src/runtime/async.ts';

const { jest } = import.meta;

/** Timers run by a fake clock. `freeze` moves the clock on without running timers. */
const setup = (ms: number) => {
  jest.useFakeTimers({ doNotFake: ['performance'] });
  let frozenMs = 0;
  const clock = jest.spyOn(performance, 'now').mockImplementation(() => Date.now() + frozenMs);
  let ended = 0;
  const limit = startTimeLimit(ms, () => {
    ended += 1;
  });
  return {
    limit,
    ended: () => ended,
    freeze: (duration: number) => {
      frozenMs += duration;
    },
    clock,
  };
};

afterEach(() => {
  jest.restoreAllMocks();
  jest.useRealTimers();
});

describe('startTimeLimit', () => {
  it('without a freeze → ends once, after exactly the given time', () => {
    const { limit, ended } = setup(2_500);

    jest.advanceTimersByTime(2_499);
    expect(ended()).toBe(0);
    jest.advanceTimersByTime(1);
    expect([ended(), limit.wasFrozen(), jest.getTimerCount()]).toEqual([1, false, 0]);
  });

  it('cleared → never ends', () => {
    const { limit, ended } = setup(500);
    limit.clear();

    jest.advanceTimersByTime(5_000);
    expect([ended(), jest.getTimerCount()]).toEqual([0, 0]);
  });

  it('frozen in between → the time in which it was frozen does not count', () => {
    const { limit, ended, freeze } = setup(10_000);

    jest.advanceTimersByTime(500);
    freeze(30_000);
    expect(limit.wasFrozen()).toBe(true);
    jest.advanceTimersByTime(9_499);
    expect(ended()).toBe(0);
    jest.advanceTimersByTime(1);
    expect([ended(), limit.wasFrozen()]).toEqual([1, true]);
  });

  it.each([300, 1_000, 10_000])('frozen at the end of %d ms → ends up to a second later', (ms) => {
    const { limit, ended, freeze } = setup(ms);

    jest.advanceTimersByTime(ms - 1);
    freeze(12_000);
    jest.advanceTimersByTime(1);
    expect(ended()).toBe(0);
    jest.advanceTimersByTime(Math.min(ms, 1_000));
    expect([ended(), limit.wasFrozen()]).toEqual([1, true]);
  });

  it('frozen again and again → ends all the same', () => {
    const { ended, freeze } = setup(1_000);

    for (let n = 0; n < 3; n += 1) {
      freeze(5_000);
      jest.advanceTimersByTime(1_000);
    }
    expect(ended()).toBe(1);
  });
});

describe('withDeadline', () => {
  it('frozen past the deadline, and the result arrives right after it → resolves', async () => {
    jest.useFakeTimers({ doNotFake: ['performance'] });
    let frozenMs = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => Date.now() + frozenMs);
    const work = new Promise<string>((resolve) => setTimeout(() => resolve('done'), 1_010));
    const waiting = withDeadline(work, 1_000, () => new Error('late'));

    frozenMs = 20_000;
    await jest.advanceTimersByTimeAsync(1_010);

    await expect(waiting).resolves.toBe('done');
  });
});
