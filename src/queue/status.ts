import type { SignalState } from '../schemas/signalRecord.ts';
import { type Backend, DEAD_LETTERS, SIGNALS, type Unsent } from './backend.ts';
import { type DeliveryView, viewDelivery } from './breakerState.ts';
import { isAlive } from './workerStats.ts';

export type QueueStatus = {
  counts: Record<SignalState, number>;
  /** The oldest signal that SEEK does not have yet. */
  oldestUnsent?: { signalId: string; acceptedAt: string; ageSeconds: number };
  /** What workers can do now: signals that wait, are in flight or are due for a retry, and redriven ones. */
  backlog: number;
  /** The worker processes with a recent heartbeat. */
  workers: number;
  /** Whether signals may be sent to SEEK. */
  delivery: DeliveryView;
};

const UNFINISHED_STATES = ['waiting', 'active', 'delayed', 'prioritized', 'waiting-children'];
const PAGE_SIZE = 100;
// A producer may add a signal to the unsent set before it adds the job. Within this time, the job may
// still follow.
const MAX_ENQUEUE_MS = 60_000;

/** Reads the status of the queue, across all processes. */
export const createQueueStatus = (backend: Backend, now: () => number = backend.clock.estimate) => {
  /** Also removes signals that a crash left in the unsent set. */
  const oldestUnsent = async (): Promise<Unsent | undefined> => {
    const queue = await backend.queue(SIGNALS);
    for (;;) {
      const listed = await backend.bookkeeping.oldestUnsent(PAGE_SIZE);
      const states = await Promise.all(listed.map(({ signalId }) => queue.getJobState(signalId)));
      const oldest = listed.find((_, index) => UNFINISHED_STATES.includes(states[index] ?? ''));
      const older = oldest === undefined ? listed : listed.slice(0, listed.indexOf(oldest));
      const stale = older.filter(({ acceptedAt }) => acceptedAt < now() - MAX_ENQUEUE_MS);
      await backend.bookkeeping.removeUnsent(stale.map(({ signalId }) => signalId));
      if (oldest !== undefined || stale.length === 0 || listed.length < PAGE_SIZE) return oldest;
    }
  };

  return async (): Promise<QueueStatus> => {
    const [signals, deadLetters] = [
      await backend.queue(SIGNALS),
      await backend.queue(DEAD_LETTERS),
    ];
    const [signalCounts, deadCounts, due, recent, oldest, breaker, stats] = await Promise.all([
      signals.getJobCounts(),
      deadLetters.getJobCounts('waiting', 'active', 'delayed', 'failed'),
      backend.jobs.countDue(SIGNALS),
      backend.bookkeeping.countRecentOutcomes(),
      oldestUnsent(),
      backend.breaker.read(),
      backend.workerStats.read(0),
    ]);
    const sum = (...states: string[]) =>
      states.reduce((total, state) => total + (signalCounts[state] ?? 0), 0);

    const { waiting = 0, active = 0, delayed = 0 } = deadCounts;
    const dead = Object.values(deadCounts).reduce((total, count) => total + count, 0);

    return {
      backlog:
        sum('waiting', 'prioritized', 'waiting-children', 'active') +
        due +
        waiting +
        active +
        delayed,
      counts: {
        waiting: sum('waiting', 'prioritized', 'waiting-children'),
        active: sum('active'),
        retrying: sum('delayed'),
        delivered: recent.delivered,
        skipped: recent.skipped,
        // A failed signal counts as dead already: the sweeper is about to move it to the dead letters.
        dead: sum('failed') + dead,
      },
      ...(oldest === undefined ? {} : { oldestUnsent: viewUnsent(oldest, now()) }),
      workers: stats.workers.filter((worker) => isAlive(worker, stats.now)).length,
      delivery: viewDelivery(breaker),
    };
  };
};

const viewUnsent = ({ signalId, acceptedAt }: Unsent, now: number) => ({
  signalId,
  acceptedAt: new Date(acceptedAt).toISOString(),
  ageSeconds: Math.max(0, Math.round((now - acceptedAt) / 1000)),
});
