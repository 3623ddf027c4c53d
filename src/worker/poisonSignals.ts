import { LOCK_LOST } from '../queue/backend.ts';
import { failureText, type SignalJob, STALLED } from '../schemas/signalJob.ts';
import type { DeliveryResult } from './delivery/bisectBatch.ts';
import { QUEUE } from './delivery/sendAuthorised.ts';

// A crash stalls every job that its worker had in flight, so one stall proves nothing. A signal that
// stalled twice is suspected: from then on it runs exclusively, with no other signal in flight. If
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
  /** Must guard every attempt of this worker, so that exclusive ones have no neighbours. */
  exclusiveLock: Pick<ExclusiveLock, 'exclusive'>;
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
export const createRunExclusively =
  <Job>({ exclusiveLock, write, replace }: Deps<Job>) =>
  (
    { job, lock, signalJob: before, abort }: SuspectedSignal<Job>,
    attempt: () => Promise<DeliveryResult>,
  ): Promise<DeliveryResult> =>
    exclusiveLock.exclusive(async () => {
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

const RELEASED: DeliveryResult = { kind: 'released' };
const MARK_FAILED: DeliveryResult = {
  kind: 'deferred',
  code: QUEUE,
  reason: 'Failed to store the crash count before the attempt',
};

type LockRequest = { exclusive: boolean; grant: () => void };

/**
 * A shared/exclusive lock that grants requests in their order. An exclusive holder waits for all
 * earlier holders to finish, and later requests wait for it.
 */
export const createExclusiveLock = () => {
  const waiting: LockRequest[] = [];
  let holders = 0;
  let isExclusive = false;

  const grantNext = (): void => {
    for (let [next] = waiting; next !== undefined && !isExclusive; [next] = waiting) {
      if (next.exclusive && holders > 0) return;
      waiting.shift();
      holders += 1;
      isExclusive = next.exclusive;
      next.grant();
    }
  };

  const run =
    (exclusive: boolean) =>
    async <T>(work: () => Promise<T>): Promise<T> => {
      if (exclusive || isExclusive || waiting.length > 0) {
        await new Promise<void>((grant) => {
          waiting.push({ exclusive, grant });
          grantNext();
        });
      } else {
        holders += 1;
      }
      try {
        return await work();
      } finally {
        holders -= 1;
        isExclusive = false;
        grantNext();
      }
    };

  return { shared: run(false), exclusive: run(true) };
};

export type ExclusiveLock = ReturnType<typeof createExclusiveLock>;
