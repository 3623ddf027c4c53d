import { DelayedError, type Job, WaitingError } from 'bullmq';
import type { Bookkeeping, JobDataStore } from '../queue/backend.ts';
import type { Deferral, SignalJob } from '../schemas/signalJob.ts';

// A deferred job goes to the end of the queue, so that the worker tries another signal next. The
// circuit breaker decides when. The wait doubles, or the same signal would be tried for days.
const BASE_DEFERRAL_MS = 1_000;
const MAX_DEFERRAL_MS = 60_000;
const NEWER_VERSION_DELAY_MS = 15_000;

type Deps = {
  jobData: Pick<JobDataStore, 'write'>;
  bookkeeping: Pick<Bookkeeping, 'markUnsent'>;
  now: () => number;
};

/**
 * Three ways to give a job back to the queue without an attempt. Each resolves with an error that the
 * processor must throw, or BullMQ would complete the job. A job that cannot be moved returns when its
 * lock expires.
 */
export const createReleaseJob = ({ jobData, bookkeeping, now }: Deps) => {
  const delay = async (job: Job, lock: string | undefined, waitMs: number) => {
    await job.moveToDelayed(now() + waitMs, lock).catch(() => {});
    return new DelayedError();
  };

  return {
    requeue: async (job: Job, lock: string | undefined) => {
      await job.moveToWait(lock).catch(() => {});
      return new WaitingError();
    },

    leaveForNewerVersion: async (job: Job, lock: string | undefined) => {
      const unsent = { signalId: job.id ?? '', acceptedAt: job.timestamp };
      await bookkeeping.markUnsent(unsent).catch(() => {});
      return delay(job, lock, NEWER_VERSION_DELAY_MS);
    },

    defer: async (
      job: Job,
      lock: string | undefined,
      signalJob: SignalJob,
      { code, reason }: Omit<Deferral, 'at'>,
    ) => {
      const { deferrals = 0 } = signalJob;
      const waitMs = Math.min(BASE_DEFERRAL_MS * 2 ** deferrals, MAX_DEFERRAL_MS);
      const nextAttemptAt = new Date(now() + waitMs).toISOString();
      const lastDeferral = { at: new Date(now()).toISOString(), code, reason };
      const deferred = { ...signalJob, deferrals: deferrals + 1, lastDeferral, nextAttemptAt };
      // These fields only inform operators. A failed write must not prevent the move.
      const isOurs = await jobData.write(job, lock, deferred).catch(() => true);
      return isOurs ? delay(job, lock, waitMs) : new WaitingError();
    },
  };
};
