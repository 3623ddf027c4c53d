import type { WorkerOptions as BullOptions, JobsOptions } from 'bullmq';

/** How long a lock lasts. Longer than a pause of the process or of Redis usually does. */
export const LOCK_MS = 30_000;

const STALLED_INTERVAL_MS = 10_000;

// A crash stalls every in-flight job, so BullMQ's stalled count does not identify the culprit; the
// worker decides.
const MAX_STALLED_COUNT = 1_000_000_000;

// BullMQ must never give up on a job: the worker applies its own retry limits at each attempt.
const MAX_BULLMQ_ATTEMPTS = 1_000_000_000;

const DEFAULT_BACKOFF_MS = 1_000;

/** Which completed jobs are kept: up to `age` seconds and up to `count`. */
export type KeepCompleted = { age: number; count: number };

/** The error with which a job is retried. It carries the wait to the backoff strategy. */
export class RetryError extends Error {
  override readonly name = 'RetryError';
  readonly backoffMs: number;

  constructor(message: string, waitMs: number) {
    super(message);
    this.backoffMs = waitMs;
  }
}

/** Our options in BullMQ's terms. Options of a job win over these, so our jobs carry none of them. */
export const workerOptions = (
  keep: KeepCompleted | undefined,
): Omit<BullOptions<never>, 'connection'> => ({
  autorun: false,
  lockDuration: LOCK_MS,
  maxStalledCount: MAX_STALLED_COUNT,
  stalledInterval: STALLED_INTERVAL_MS,
  ...(keep === undefined ? {} : { removeOnComplete: keep }),
  settings: {
    backoffStrategy: (_attempts, _type, err) =>
      err instanceof RetryError ? err.backoffMs : DEFAULT_BACKOFF_MS,
  },
});

/** The source sets these on each job again: a job that another program added may carry any options. */
export const RETRY_OPTIONS = {
  attempts: MAX_BULLMQ_ATTEMPTS,
  // The name of the backoff strategy that workers register. Jobs of older versions carry it too.
  backoff: { type: 'seek' },
  // The stack trace of a refused signal says nothing, and would be stored with each job.
  stackTraceLimit: 0,
  // The sweeper moves failed jobs to the dead letters. If BullMQ removed them, the signals would be lost.
  removeOnFail: false,
} satisfies JobsOptions;

/** The options of every job in `signals`. */
export const signalJobOptions = (signalId: string, acceptedAt: number): JobsOptions => ({
  ...RETRY_OPTIONS,
  jobId: signalId,
  timestamp: acceptedAt,
});

/** The options of every dead letter. A redriven one is removed when it completes, which frees its id. */
export const deadLetterJobOptions = (deadLetterId: string): JobsOptions => ({
  ...RETRY_OPTIONS,
  backoff: { type: 'fixed', delay: 1_000 },
  jobId: deadLetterId,
  removeOnComplete: true,
});
