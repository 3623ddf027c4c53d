import { LOCK_LOST } from '../queue/backend.ts';
import { failureText, type SignalJob, STALLED } from '../schemas/signalJob.ts';
import type { DeliveryResult } from './delivery/bisectBatch.ts';
import { QUEUE } from './delivery/sendAuthorised.ts';

// A crash stalls every job that its worker had in flight, so one stall proves nothing. A signal that
// stalled twice is suspected: from then on it runs alone, with no other signal in flight. If
// three workers crash during that, the signal must be the cause, and it is not attempted again.
const SUSPECTED_AFTER_STALLS = 2;
const POISON_AFTER_ISOLATED_CRASHES = 3;

/** The field of BullMQ's job that matters here. */
type StalledJob = { stalledCounter: number };

/** Whether the signal may be the reason that its workers crashed. */
export const isSuspectedPoison = ({ stalledCounter }: StalledJob): boolean =>
  stalledCounter >= SUSPECTED_AFTER_STALLS;

/** Why a poison signal becomes a dead letter. `undefined`: it is not one, so it is attempted. */
export const poisonFailureOf = (
  { stalledCounter }: StalledJob,
  { isolatedCrashes = 0 }: SignalJob,
): string | undefined =>
  isolatedCrashes < POISON_AFTER_ISOLATED_CRASHES
    ? undefined
    : failureText({
        code: STALLED,
        reason: `${stalledCounter} workers crashed while this signal was in flight, the last ${isolatedCrashes} of them while no other signal was`,
      });

type Deps<Job> = {
  /** Must guard every attempt of this worker, so that a suspected signal has no neighbours. */
  isolation: Pick<Isolation, 'alone'>;
  /** Writes while this worker holds the job. `false`: another worker holds it by now. */
  write: (job: Job, lock: string | undefined, data: SignalJob) => Promise<boolean>;
  /** Writes while the job's data equals `from`, whichever worker holds the job. */
  replace: (job: Job, from: SignalJob, to: SignalJob) => Promise<boolean>;
};

type SuspectedSignal<Job> = {
  job: Job;
  /** BullMQ's lock token, which proves that this worker holds the job. */
  lock: string | undefined;
  signalJob: SignalJob;
  abort: AbortSignal | undefined;
};

/**
 * Attempts a suspected signal while this worker attempts nothing else. The crash count is raised
 * before the attempt and removed after it, so a count that is still there means a crash.
 */
export const createRunAlone =
  <Job>({ isolation, write, replace }: Deps<Job>) =>
  async (
    { job, lock, signalJob: before, abort }: SuspectedSignal<Job>,
    attempt: () => Promise<DeliveryResult>,
  ): Promise<DeliveryResult> => {
    const result = await isolation.alone(async (): Promise<DeliveryResult> => {
      const { isolatedCrashes = 0, ...cleared } = before;
      const marked = { ...cleared, isolatedCrashes: isolatedCrashes + 1 };
      if (abort?.aborted) return RELEASED;
      // Without the raised count, a crash would leave no trace. So no attempt is made.
      const isMarked = await write(job, lock, marked).catch(() => undefined);
      if (isMarked === undefined) return MARK_FAILED;
      if (!isMarked) return RELEASED;

      const delivery = await attempt();
      const isOurs =
        abort?.reason !== LOCK_LOST && (await write(job, lock, cleared).catch(() => true));
      // The worker lost the lock but did not crash, so it restores the old count. If the job's next
      // worker has written since, `replace` changes nothing.
      if (!isOurs) await replace(job, marked, before).catch(() => {});
      return delivery;
    });
    return result ?? RELEASED;
  };

const RELEASED: DeliveryResult = { kind: 'released' };
const MARK_FAILED: DeliveryResult = {
  kind: 'deferred',
  code: QUEUE,
  reason: 'Failed to store the crash count before the attempt',
};

type IsolationDeps = {
  /** Called with `true` before a signal waits to be alone, and with `false` after it has run. */
  onChange: (isolating: boolean) => void;
};

/**
 * Lets one signal run while the worker has no other in flight. It waits for the signals that are in flight
 * already. Those that come meanwhile do not wait beside it, where their data would take memory: they are
 * not run.
 */
export const createIsolation = ({ onChange }: IsolationDeps) => {
  let inFlight = 0;
  let isIsolating = false;
  let onAlone = (): void => {};

  const count = async <T>(work: () => Promise<T>): Promise<T> => {
    inFlight += 1;
    try {
      return await work();
    } finally {
      inFlight -= 1;
      if (inFlight === 1) onAlone();
    }
  };

  /** Resolves when no other signal is in flight. */
  const untilAlone = (): Promise<void> =>
    new Promise((resolve) => {
      onAlone = resolve;
      if (inFlight === 1) resolve();
    });

  return {
    /** `undefined`: another signal runs alone, and `work` was not called. */
    shared: async <T>(work: () => Promise<T>): Promise<T | undefined> =>
      isIsolating ? undefined : count(work),

    /** `undefined`: another signal runs alone, and `work` was not called. */
    alone: async <T>(work: () => Promise<T>): Promise<T | undefined> => {
      if (isIsolating) return undefined;
      isIsolating = true;
      onChange(true);
      try {
        return await count(async () => {
          await untilAlone();
          return work();
        });
      } finally {
        isIsolating = false;
        onChange(false);
      }
    },
  };
};

export type Isolation = ReturnType<typeof createIsolation>;
