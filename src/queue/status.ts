import type { SignalState } from '../schemas/signalRecord.ts';
import { type Backend, DEAD_LETTERS, SIGNALS, type Unsent } from './backend.ts';
import { type DeliveryView, viewDelivery } from './breakerState.ts';
import { isAlive } from './workerStats.ts';

export type QueueStatus = {
  counts: Record<SignalState, number>;
  /** When the oldest signal that SEEK does not have yet was accepted. */
  oldestUnsent?: { signalId: string; acceptedAt: string; ageSeconds: number };
  /** What workers have to do now: what waits, is in hand, is to be tried again by now, or comes back from the dead letters. */
  backlog: number;
  /** How many worker processes are alive, as far as they have told within the last minute. */
  workers: number;
  /** Whether signals may be sent to SEEK. */
  delivery: DeliveryView;
};

const UNSETTLED = ['waiting', 'active', 'delayed', 'prioritized', 'waiting-children'];
const BATCH = 100;
// A producer lists a signal before it adds it: younger than this, the add may be under way.
const SETTLING_MS = 60_000;

/** How the queue stands, over all processes. */
export const createQueueStatus = (backend: Backend, now: () => number = Date.now) => {
  /** Strikes off what a crash left listed as unsent, until one is found that really is. */
  const oldestUnsent = async (): Promise<Unsent | undefined> => {
    const queue = await backend.queue(SIGNALS);
    for (;;) {
      const listed = await backend.bookkeeping.oldestUnsent(BATCH);
      const states = await Promise.all(listed.map(({ signalId }) => queue.getJobState(signalId)));
      const found = listed.find((_, index) => UNSETTLED.includes(states[index] ?? ''));
      const before = found === undefined ? listed : listed.slice(0, listed.indexOf(found));
      const stale = before.filter(({ acceptedAt }) => acceptedAt < now() - SETTLING_MS);
      await backend.bookkeeping.removeUnsent(stale.map(({ signalId }) => signalId));
      if (found !== undefined || stale.length === 0 || listed.length < BATCH) return found;
    }
  };

  return async (): Promise<QueueStatus> => {
    const [signals, deadLetters] = [
      await backend.queue(SIGNALS),
      await backend.queue(DEAD_LETTERS),
    ];
    const [of, dead, due, lately, oldest, delivery, heard] = await Promise.all([
      signals.getJobCounts(),
      deadLetters.getJobCounts('waiting', 'active', 'delayed', 'failed'),
      backend.jobs.countDue(SIGNALS),
      backend.bookkeeping.countRecentOutcomes(),
      oldestUnsent(),
      backend.breaker.read(),
      backend.workerStats.read(0),
    ]);
    const sum = (...states: string[]) =>
      states.reduce((total, state) => total + (of[state] ?? 0), 0);

    const { waiting = 0, active = 0, delayed = 0 } = dead;

    return {
      backlog:
        sum('waiting', 'prioritized', 'waiting-children', 'active') +
        due +
        (waiting + active + delayed),
      counts: {
        waiting: sum('waiting', 'prioritized', 'waiting-children'),
        active: sum('active'),
        retrying: sum('delayed'),
        delivered: lately.delivered,
        skipped: lately.skipped,
        // A failed signal is on its way to the dead letters: dead already.
        dead: sum('failed') + Object.values(dead).reduce((total, count) => total + count, 0),
      },
      ...(oldest === undefined
        ? {}
        : {
            oldestUnsent: {
              signalId: oldest.signalId,
              acceptedAt: new Date(oldest.acceptedAt).toISOString(),
              ageSeconds: Math.max(0, Math.round((now() - oldest.acceptedAt) / 1000)),
            },
          }),
      workers: heard.workers.filter((worker) => isAlive(worker, heard.now)).length,
      delivery: viewDelivery(delivery),
    };
  };
};
