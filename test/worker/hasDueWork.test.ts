import type { Backend } from '../../src/queue/backend.ts';
import type { BreakerState } from '../../src/queue/breakerState.ts';
import { hasDueWork } from '../../src/worker/stallDetector.ts';
import { buildSignalJob } from '../support/buildSignal.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const MAX_IDLE_MS = 60_000;
const suspended = (until: number): BreakerState => ({
  open: { since: 1, code: 'HTTP_503', reason: '', pauses: 1, until },
});

type Doubles = {
  counts?: Record<string, number>;
  paused?: boolean;
  breaker?: BreakerState;
  delayed?: unknown[];
  ping?: () => Promise<void>;
};

/** A backend with the members that `hasDueWork` uses. */
const setup = ({ counts = {}, paused = false, breaker = {}, delayed = [], ping }: Doubles) => {
  const backend = {
    ping: ping ?? (async () => {}),
    breaker: { read: async () => ({ state: breaker, now: NOW, version: '' }) },
    queue: async () => ({
      isPaused: async () => paused,
      getJobCounts: async () => counts,
      getJobs: async () => delayed.map((data) => ({ data })),
    }),
  };
  return { check: () => hasDueWork(backend as unknown as Backend, MAX_IDLE_MS, () => NOW) };
};

const retrying = (fromNowMs: number) =>
  buildSignalJob({ nextAttemptAt: new Date(NOW + fromNowMs).toISOString() });

describe('hasDueWork', () => {
  it.each<{ what: string; doubles: Doubles; due: boolean }>([
    { what: 'an empty queue', doubles: {}, due: false },
    { what: 'a waiting signal', doubles: { counts: { waiting: 1 } }, due: true },
    { what: 'a prioritized signal', doubles: { counts: { prioritized: 1 } }, due: true },
    { what: 'a retry that is due', doubles: { delayed: [retrying(0)] }, due: true },
    { what: 'a retry for later', doubles: { delayed: [retrying(1)] }, due: false },
    {
      what: 'a deferred signal without a due time',
      doubles: { delayed: [buildSignalJob()] },
      due: false,
    },
    { what: 'a job of a newer version', doubles: { delayed: [{ version: 5 }] }, due: false },
    { what: 'an unreadable job', doubles: { delayed: [null] }, due: false },
    {
      what: 'waiting signals while delivery is suspended',
      doubles: { counts: { waiting: 7 }, breaker: suspended(NOW + 1_000) },
      due: false,
    },
    {
      what: 'waiting signals, and the next probe was due a moment ago',
      doubles: { counts: { waiting: 7 }, breaker: suspended(NOW - MAX_IDLE_MS + 1) },
      due: false,
    },
    {
      what: 'waiting signals, and the next probe has been due for long',
      doubles: { counts: { waiting: 7 }, breaker: suspended(NOW - MAX_IDLE_MS) },
      due: true,
    },
    {
      what: 'nothing due, and the next probe has been due for long',
      doubles: { delayed: [retrying(1)], breaker: suspended(1) },
      due: false,
    },
    {
      what: 'waiting signals in a paused queue',
      doubles: { counts: { waiting: 7 }, paused: true },
      due: false,
    },
  ])('$what → $due', async ({ doubles, due }) => {
    await expect(setup(doubles).check()).resolves.toBe(due);
  });

  it('queue does not answer → rejects', async () => {
    const { check } = setup({ ping: () => Promise.reject(new Error('ECONNREFUSED')) });

    await expect(check()).rejects.toThrow('ECONNREFUSED');
  });
});
