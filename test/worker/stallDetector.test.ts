import { createStallDetector } from '../../src/worker/stallDetector.ts';

const { jest } = import.meta;

const PATIENCE_MS = 60_000;

type Due = boolean | 'unreachable' | 'silent';

const stops: (() => void)[] = [];

const setup = (given: Due = true) => {
  const worker = { due: given, lastActivityAt: 0, asked: 0 };
  const watch = createStallDetector({
    hasDueWork: async () => {
      worker.asked += 1;
      if (worker.due === 'unreachable') throw new Error('ECONNREFUSED');
      if (worker.due === 'silent') return new Promise(() => {});
      return worker.due;
    },
    lastActivityAt: () => worker.lastActivityAt,
    patienceMs: PATIENCE_MS,
    now: () => Date.now(),
  });
  stops.push(watch.stop);
  return { watch, worker };
};

const permit = (ms: number) => jest.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  jest.useFakeTimers({ now: 0 });
});
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  jest.useRealTimers();
});

describe('a worker', () => {
  it('is alive from the start', () => {
    expect(setup().watch.isAlive()).toBe(true);
  });

  it('is dead when work has been due for long, and its loop did not turn', async () => {
    const { watch } = setup();

    // Seen at the first look, after five seconds.
    await permit(5_000 + PATIENCE_MS - 1);
    expect(watch.isAlive()).toBe(true);
    await permit(1);

    expect(watch.isAlive()).toBe(false);
  });

  it('is alive as long as its loop turns, however much is due', async () => {
    const { watch, worker } = setup();

    for (let minute = 0; minute < 10; minute += 1) {
      await permit(PATIENCE_MS - 1);
      worker.lastActivityAt = Date.now();
    }
    expect(watch.isAlive()).toBe(true);
    await permit(PATIENCE_MS);

    expect(watch.isAlive()).toBe(false);
  });

  it('comes back to life with a turn', async () => {
    const { watch, worker } = setup();
    await permit(2 * PATIENCE_MS);
    expect(watch.isAlive()).toBe(false);

    worker.lastActivityAt = Date.now();

    expect(watch.isAlive()).toBe(true);
  });

  it.each<{ why: string; due: Due }>([
    { why: 'nothing is due, the lane is closed or the queue paused', due: false },
    { why: 'the queue cannot be reached', due: 'unreachable' },
    { why: 'the queue does not answer', due: 'silent' },
  ])('is alive without a turn where $why', async ({ due }) => {
    const { watch } = setup(due);

    await permit(10 * PATIENCE_MS);

    expect(watch.isAlive()).toBe(true);
  });

  it.each<Due>([false, 'unreachable', 'silent'])(
    'has its patience counted anew after an interruption: %s',
    async (due) => {
      const { watch, worker } = setup();
      await permit(PATIENCE_MS);

      worker.due = due;
      await permit(10_000);
      worker.due = true;
      await permit(PATIENCE_MS);
      expect(watch.isAlive()).toBe(true);
      await permit(10_000);

      expect(watch.isAlive()).toBe(false);
    },
  );

  it('is looked at every five seconds, until that is stopped', async () => {
    const { watch, worker } = setup();

    await permit(20_000);
    expect(worker.asked).toBe(4);
    watch.stop();
    await permit(20_000);

    expect(worker.asked).toBe(4);
    expect(jest.getTimerCount()).toBe(0);
  });
});
