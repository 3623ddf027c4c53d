import type { Bookkeeping, JobDataStore } from '../queue/backend.ts';
import type { JobPool } from '../queue/jobPool.ts';
import type { TakenJob } from '../queue/jobSource.ts';
import type { Deferral, SignalJob } from '../schemas/signalJob.ts';

// A deferred job goes to the end of the queue, so that the worker tries another signal next. The
// circuit breaker decides when. The wait doubles, or the same signal would be tried for days.
const BASE_DEFERRAL_MS = 1_000;
const MAX_DEFERRAL_MS = 60_000;
const NEWER_VERSION_DELAY_MS = 15_000;

type Deps = {
  pool: Pick<JobPool<unknown>, 'delay' | 'release'>;
  jobData: Pick<JobDataStore, 'write'>;
  bookkeeping: Pick<Bookkeeping, 'markUnsent'>;
  now: () => number;
};

/** Two ways to postpone a job without an attempt. */
export const createReleaseJob = ({ pool, jobData, bookkeeping, now }: Deps) => ({
  leaveForNewerVersion: async (job: TakenJob): Promise<void> => {
    const unsent = { signalId: job.id, acceptedAt: job.timestamp };
    await bookkeeping.markUnsent(unsent).catch(() => {});
    await pool.delay(job, now() + NEWER_VERSION_DELAY_MS);
  },

  defer: async (
    job: TakenJob,
    signalJob: SignalJob,
    { code, reason }: Omit<Deferral, 'at'>,
  ): Promise<void> => {
    const { deferrals = 0 } = signalJob;
    const waitMs = Math.min(BASE_DEFERRAL_MS * 2 ** deferrals, MAX_DEFERRAL_MS);
    const nextAttemptAt = new Date(now() + waitMs).toISOString();
    const lastDeferral = { at: new Date(now()).toISOString(), code, reason };
    const deferred = { ...signalJob, deferrals: deferrals + 1, lastDeferral, nextAttemptAt };
    // These fields only inform operators. A failed write must not prevent the move.
    const isOurs = await jobData.write(job, deferred).catch(() => true);
    if (isOurs) await pool.delay(job, now() + waitMs);
    else pool.release(job);
  },
});

export type ReleaseJob = ReturnType<typeof createReleaseJob>;
