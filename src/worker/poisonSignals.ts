import type { JobDataStore } from '../queue/backend.ts';
import type { JobPool } from '../queue/jobPool.ts';
import type { TakenJob } from '../queue/jobSource.ts';
import { failureText, type SignalJob, STALLED } from '../schemas/signalJob.ts';
import type { DeliveryResult } from './delivery/bisectBatch.ts';
import { QUEUE } from './delivery/sendAuthorised.ts';

// A crash stalls every job that its worker had in flight, so one stall proves nothing. A signal that
// stalled twice is suspected: from then on it runs alone, with no other signal in flight. If
// three workers crash during that, the signal must be the cause, and it is not attempted again.
const SUSPECTED_AFTER_STALLS = 2;
const POISON_AFTER_ISOLATED_CRASHES = 3;

type StalledJob = Pick<TakenJob, 'stalledCounter'>;

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

type Deps = {
  pool: Pick<JobPool<unknown>, 'holds' | 'runAlone'>;
  jobData: JobDataStore;
  /** Fires when the worker stops. */
  abort: AbortSignal;
};

/**
 * Attempts a suspected signal while this worker attempts nothing else. The crash count is raised
 * before the attempt and removed after it, so a count that is still there means a crash.
 */
export const createRunAlone =
  ({ pool, jobData: { write, replace }, abort }: Deps) =>
  async (
    job: TakenJob,
    before: SignalJob,
    attempt: () => Promise<DeliveryResult>,
  ): Promise<DeliveryResult> => {
    const result = await pool.runAlone(job, async (): Promise<DeliveryResult> => {
      const { isolatedCrashes = 0, ...cleared } = before;
      const marked = { ...cleared, isolatedCrashes: isolatedCrashes + 1 };
      if (abort.aborted || !pool.holds(job)) return RELEASED;
      // Without the raised count, a crash would leave no trace. So no attempt is made.
      const isMarked = await write(job, marked).catch(() => undefined);
      if (isMarked === undefined) return MARK_FAILED;
      if (!isMarked) return RELEASED;

      const delivery = await attempt();
      const isOurs = pool.holds(job) && (await write(job, cleared).catch(() => true));
      // The worker lost the lock but did not crash, so it restores the old count. If the job's next
      // worker has written since, `replace` changes nothing.
      if (!isOurs) await replace(job, marked, before).catch(() => {});
      return delivery;
    });
    return result ?? RELEASED;
  };

export type RunAlone = ReturnType<typeof createRunAlone>;

const RELEASED: DeliveryResult = { kind: 'released' };
const MARK_FAILED: DeliveryResult = {
  kind: 'deferred',
  code: QUEUE,
  reason: 'Failed to store the crash count before the attempt',
};
