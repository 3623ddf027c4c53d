import { createStallDetector } from '../../src/worker/stallDetector.ts';

const { jest } = import.meta;

const MAX_IDLE_MS = 60_000;

type Due = boolean | 'unreachable' | 'silent';

const stops: (() => void)[] = [];

const setup = (given: Due = true) => {
  const worker = { due: given, lastActivityAt: 0, polls: 0 };
  const detector = createStallDetector({
    hasDueWork: async () => {
      worker.polls += 1;
      if (worker.due === 'unreachable') throw new Error('ECONNREFUSED');
      if (worker.due === 'silent') return new Promise(() => {});
      return worker.due;
    },
    lastActivityAt: () => worker.lastActivityAt,
    maxIdleMs: MAX_IDLE_MS,
    now: () => Date.now(),
  });
  stops.push(detector.stop);
  return { detector, worker };
};

const advance = (ms: number) => jest.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  jest.useFakeTimers({ now: 0 });
});
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  jest.useRealTimers();
});

describe('stall detector', () => {
  it('start → alive', () => {
    expect(setup().detector.isAlive()).toBe(true);
  });

  it('work due for the maximum idle time without activity → not alive', async () => {
    const { detector } = setup();

    // The first poll, after five seconds, sees the due work.
    await advance(5_000 + MAX_IDLE_MS - 1);
    expect(detector.isAlive()).toBe(true);
    await advance(1);

    expect(detector.isAlive()).toBe(false);
  });

  it('activity within each idle time → alive, although work is due', async () => {
    const { detector, worker } = setup();

    for (let minute = 0; minute < 10; minute += 1) {
      await advance(MAX_IDLE_MS - 1);
      worker.lastActivityAt = Date.now();
    }
    expect(detector.isAlive()).toBe(true);
    await advance(MAX_IDLE_MS);

    expect(detector.isAlive()).toBe(false);
  });

  it('activity after a stall → alive again', async () => {
    const { detector, worker } = setup();
    await advance(2 * MAX_IDLE_MS);
    expect(detector.isAlive()).toBe(false);

    worker.lastActivityAt = Date.now();

    expect(detector.isAlive()).toBe(true);
  });

  it.each<{ why: string; due: Due }>([
    { why: 'nothing is due', due: false },
    { why: 'the queue cannot be reached', due: 'unreachable' },
    { why: 'the queue does not answer', due: 'silent' },
  ])('no activity while $why → alive', async ({ due }) => {
    const { detector } = setup(due);

    await advance(10 * MAX_IDLE_MS);

    expect(detector.isAlive()).toBe(true);
  });

  it.each<Due>([false, 'unreachable', 'silent'])(
    'due work interrupted by %s → the idle time starts again',
    async (due) => {
      const { detector, worker } = setup();
      await advance(MAX_IDLE_MS);

      worker.due = due;
      await advance(10_000);
      worker.due = true;
      await advance(MAX_IDLE_MS);
      expect(detector.isAlive()).toBe(true);
      await advance(10_000);

      expect(detector.isAlive()).toBe(false);
    },
  );

  it('runs → polls every five seconds until it is stopped', async () => {
    const { detector, worker } = setup();

    await advance(20_000);
    expect(worker.polls).toBe(4);
    detector.stop();
    await advance(20_000);

    expect(worker.polls).toBe(4);
    expect(jest.getTimerCount()).toBe(0);
  });
});
