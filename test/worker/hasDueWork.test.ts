import type { Backend } from '../../src/queue/backend.ts';
import type { BreakerState } from '../../src/queue/breakerState.ts';
import { hasDueWork } from '../../src/worker/stallDetector.ts';
import { buildSignalJob } from '../support/buildSignal.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const PATIENCE_MS = 60_000;
const openUntil = (until: number): BreakerState => ({
  open: { since: 1, code: 'HTTP_503', reason: '', pauses: 1, until },
});

type Doubles = {
  counts?: Record<string, number>;
  paused?: boolean;
  breaker?: BreakerState;
  delayed?: unknown[];
  ping?: () => Promise<void>;
};

/** As much of a backend as is asked. */
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
  return { ask: () => hasDueWork(backend as unknown as Backend, PATIENCE_MS, () => NOW) };
};

const retrying = (fromNowMs: number) =>
  buildSignalJob({ nextAttemptAt: new Date(NOW + fromNowMs).toISOString() });

describe('work', () => {
  it.each<{ what: string; doubles: Doubles; due: boolean }>([
    { what: 'nothing at all', doubles: {}, due: false },
    { what: 'a signal that waits', doubles: { counts: { waiting: 1 } }, due: true },
    { what: 'a signal that goes first', doubles: { counts: { prioritized: 1 } }, due: true },
    { what: 'a retry whose time has come', doubles: { delayed: [retrying(0)] }, due: true },
    { what: 'a retry for later', doubles: { delayed: [retrying(1)] }, due: false },
    {
      what: 'a signal that was put off without a time',
      doubles: { delayed: [buildSignalJob()] },
      due: false,
    },
    { what: 'a job of a newer version', doubles: { delayed: [{ version: 4 }] }, due: false },
    { what: 'a job that cannot be read', doubles: { delayed: [null] }, due: false },
    {
      what: 'signals behind a closed lane',
      doubles: { counts: { waiting: 7 }, breaker: openUntil(NOW + 1_000) },
      due: false,
    },
    {
      what: 'signals behind a lane whose pause is just over',
      doubles: { counts: { waiting: 7 }, breaker: openUntil(NOW - PATIENCE_MS + 1) },
      due: false,
    },
    {
      what: 'signals behind a lane that nobody has tried for long',
      doubles: { counts: { waiting: 7 }, breaker: openUntil(NOW - PATIENCE_MS) },
      due: true,
    },
    {
      what: 'nothing behind such a lane',
      doubles: { delayed: [retrying(1)], breaker: openUntil(1) },
      due: false,
    },
    {
      what: 'signals in a paused queue',
      doubles: { counts: { waiting: 7 }, paused: true },
      due: false,
    },
  ])('is due or not: $what, $due', async ({ doubles, due }) => {
    await expect(setup(doubles).ask()).resolves.toBe(due);
  });

  it('is unknown where the queue does not answer', async () => {
    const { ask } = setup({ ping: () => Promise.reject(new Error('ECONNREFUSED')) });

    await expect(ask()).rejects.toThrow('ECONNREFUSED');
  });
});
