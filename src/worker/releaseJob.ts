import { DelayedError, type Job, WaitingError } from 'bullmq';
import type { Bookkeeping, JobDataStore } from '../queue/backend.ts';
import type { Deferral, SignalJob } from '../schemas/signalJob.ts';

// It goes to the end of the queue, so that another is the next to try; when that is, the lane says. One
// that is put off again and again waits for longer, or it would be tried for days.
const DEFERRED_MS = 1_000;
const DEFERRED_MAX_MS = 60_000;
const LEFT_FOR_NEWER_MS = 15_000;

type Deps = {
  jobData: Pick<JobDataStore, 'write'>;
  bookkeeping: Pick<Bookkeeping, 'markUnsent'>;
  now: () => number;
};

/**
 * The ways to let go of a job without spending an attempt. Each resolves with what is to be thrown, for
 * BullMQ's sake. A job that can't be moved comes back by itself when its lock has run out.
 */
export const createReleaseJob = ({ jobData, bookkeeping, now }: Deps) => {
  const putOff = async (job: Job, lock: string | undefined, waitMs: number) => {
    await job.moveToDelayed(now() + waitMs, lock).catch(() => {});
    return new DelayedError();
  };

  return {
    handBack: async (job: Job, lock: string | undefined) => {
      await job.moveToWait(lock).catch(() => {});
      return new WaitingError();
    },

    leaveForNewer: async (job: Job, lock: string | undefined) => {
      const unsent = { signalId: job.id ?? '', acceptedAt: job.timestamp };
      await bookkeeping.markUnsent(unsent).catch(() => {});
      return putOff(job, lock, LEFT_FOR_NEWER_MS);
    },

    defer: async (
      job: Job,
      lock: string | undefined,
      signalJob: SignalJob,
      { code, reason }: Omit<Deferral, 'at'>,
    ) => {
      const { deferrals = 0 } = signalJob;
      const waitMs = Math.min(DEFERRED_MS * 2 ** deferrals, DEFERRED_MAX_MS);
      const nextAttemptAt = new Date(now() + waitMs).toISOString();
      const lastDeferral = { at: new Date(now()).toISOString(), code, reason };
      const deferred = { ...signalJob, deferrals: deferrals + 1, lastDeferral, nextAttemptAt };
      // For people only: it must not keep the signal from being moved.
      const isOurs = await jobData.write(job, lock, deferred).catch(() => true);
      return isOurs ? putOff(job, lock, waitMs) : new WaitingError();
    },
  };
};
