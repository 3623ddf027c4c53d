import { LOCK_LOST } from '../queue/backend.ts';
import { failureText, type SignalJob, STALLED } from '../schemas/signalJob.ts';
import type { DeliveryResult } from './delivery/bisectBatch.ts';
import { QUEUE } from './delivery/sendAuthorised.ts';

// A worker that was lost with it twice may have died of it. From then on it is tried apart from all
// others, and when three more workers die at that, nothing else can be to blame.
const SUSPECT_AFTER = 2;
const GUILTY_AFTER = 3;

/** As much of BullMQ's job as matters here. */
type Lost = { stalledCounter: number };

/** Whether this signal may be what its workers died of. */
export const isSuspectedPoison = ({ stalledCounter }: Lost): boolean =>
  stalledCounter >= SUSPECT_AFTER;

/** Why it is not tried again; `undefined`: it is. */
export const crashRecordOf = (
  { stalledCounter }: Lost,
  { isolatedCrashes = 0 }: SignalJob,
): string | undefined =>
  isolatedCrashes < GUILTY_AFTER
    ? undefined
    : failureText({
        code: STALLED,
        reason: `${stalledCounter} workers died while they had it in hand, the last ${isolatedCrashes} of them while it was tried alone`,
      });

type Deps<Job> = {
  /** Where all signals in hand are tried. */
  exclusiveLock: Pick<ExclusiveLock, 'alone'>;
  /** Writes while the job is ours. */
  write: (job: Job, lock: string | undefined, data: SignalJob) => Promise<boolean>;
  replace: (job: Job, from: SignalJob, to: SignalJob) => Promise<boolean>;
};

type Suspect<Job> = {
  job: Job;
  lock: string | undefined;
  signalJob: SignalJob;
  entry: { abort?: AbortSignal | undefined };
};

/**
 * Tries a suspect while this worker tries nothing else. It is written down before, and struck out
 * after: what still stands there was the end of a worker.
 */
export const createRunExclusively =
  <Job>({ exclusiveLock, write, replace }: Deps<Job>) =>
  (
    { job, lock, signalJob: marked, entry: { abort } }: Suspect<Job>,
    attempt: () => Promise<DeliveryResult>,
  ): Promise<DeliveryResult> =>
    exclusiveLock.alone(async () => {
      const { isolatedCrashes = 0, ...signalJob } = marked;
      const mark = { ...signalJob, isolatedCrashes: isolatedCrashes + 1 };
      if (abort?.aborted) return HANDED_BACK;
      // What can't be marked is not tried.
      const isMarked = await write(job, lock, mark).catch(() => undefined);
      if (isMarked === undefined) return UNMARKED;
      if (!isMarked) return HANDED_BACK;

      const delivery = await attempt();
      const isOurs =
        abort?.reason !== LOCK_LOST && (await write(job, lock, signalJob).catch(() => true));
      // Who has lost the lock lives all the same, and says so unless the next worker has written since.
      if (!isOurs) await replace(job, mark, marked).catch(() => {});
      return delivery;
    });

const HANDED_BACK: DeliveryResult = { kind: 'released' };
const UNMARKED: DeliveryResult = {
  ...{ kind: 'deferred', code: QUEUE, reason: 'It cannot be noted that it is being tried' },
};

type Guest = { alone: boolean; awaitSlot: () => void };

/**
 * Work that goes on side by side, and work that is to be alone: it waits for what is under way to end,
 * and what comes after it waits for it. In the order in which they came.
 */
export const createExclusiveLock = () => {
  const waiting: Guest[] = [];
  let inside = 0;
  let taken = false;

  const acquire = (): void => {
    for (let [next] = waiting; next !== undefined && !taken; [next] = waiting) {
      if (next.alone && inside > 0) return;
      waiting.shift();
      inside += 1;
      taken = next.alone;
      next.awaitSlot();
    }
  };

  const within =
    (alone: boolean) =>
    async <T>(work: () => Promise<T>): Promise<T> => {
      if (alone || taken || waiting.length > 0) {
        await new Promise<void>((awaitSlot) => {
          waiting.push({ alone, awaitSlot });
          acquire();
        });
      } else {
        inside += 1;
      }
      try {
        return await work();
      } finally {
        inside -= 1;
        taken = false;
        acquire();
      }
    };

  return { together: within(false), alone: within(true) };
};

export type ExclusiveLock = ReturnType<typeof createExclusiveLock>;
