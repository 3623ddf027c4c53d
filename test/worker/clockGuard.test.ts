import { createClockGuard } from '../../src/worker/clockGuard.ts';
import { captureLogs } from '../support/captureLogs.ts';

const { jest } = import.meta;

const setup = async (reads: (number | Error)[]) => {
  const logs = captureLogs();
  const changes: boolean[] = [];
  const guard = createClockGuard({
    clock: {
      read: async () => {
        const read = reads.length > 1 ? reads.shift() : reads[0];
        if (read instanceof Error || read === undefined) throw read;
        return read;
      },
    },
    onChange: () => changes.push(guard.isRight()),
    logger: logs.logger,
    now: () => 0,
  });
  const before = guard.isRight();
  await jest.advanceTimersByTimeAsync(1);
  return { guard, changes, logs, before };
};

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

describe('the clock guard of a worker', () => {
  it('the queue has not answered yet → the clock counts as wrong, and the worker as ready', async () => {
    const { guard, changes } = await setup([new Error('ECONNREFUSED')]);

    expect([guard.isRight(), changes]).toEqual([false, []]);
    expect(guard.assertRight).not.toThrow();
  });

  it.each([60_000, -60_000, 0])('a difference of %i ms → the clock is right', async (ahead) => {
    const { guard, changes, before } = await setup([ahead]);

    expect([before, guard.isRight(), changes]).toEqual([false, true, [true]]);
    expect(guard.assertRight).not.toThrow();
  });

  it.each([60_001, -60_001])(
    'a difference of %i ms → wrong, logged and not ready',
    async (ahead) => {
      const { guard, logs } = await setup([ahead]);

      expect(guard.isRight()).toBe(false);
      expect(guard.assertRight).toThrow(/differs from that of Redis by more than a minute/);
      expect(logs.lines()).toMatchObject([{ level: 'error', clockAheadMs: -ahead }]);
    },
  );

  it('the clock is set while the worker runs → a change each time, and one line a minute', async () => {
    const { guard, changes, logs } = await setup([0, 90_000, 90_000, 0]);

    await jest.advanceTimersByTimeAsync(4_000);

    expect(changes).toEqual([true, false, true]);
    expect(guard.isRight()).toBe(true);
    expect(logs.lines()).toMatchObject([{ level: 'error' }, { msg: 'The clock is right again' }]);
  });

  it('the queue becomes unavailable → the last answer stays', async () => {
    const { guard, changes } = await setup([0, new Error('ECONNREFUSED')]);

    await jest.advanceTimersByTimeAsync(4_000);

    expect([guard.isRight(), changes]).toEqual([true, [true]]);
  });
});
