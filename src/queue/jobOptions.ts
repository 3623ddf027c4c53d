import type { JobsOptions } from 'bullmq';

/** The name under which workers register how long a signal waits between attempts. */
export const SEEK_BACKOFF = 'seek';

// BullMQ must never be the one to give up: the worker judges each attempt by its own configuration.
const UNBOUNDED = 1_000_000_000;

/** Taken over by the worker as well, for a job that somebody else added may carry anything. */
export const RETRY_OPTIONS = {
  attempts: UNBOUNDED,
  backoff: { type: SEEK_BACKOFF },
  // Stack traces of refused signals would say nothing, and would be kept with each of them.
  stackTraceLimit: 0,
  // A failed job is the undertaker's.
  removeOnFail: false,
} satisfies JobsOptions;

/** The options of every job in `signals`. */
export const signalJobOptions = (signalId: string, acceptedAt: number): JobsOptions => ({
  ...RETRY_OPTIONS,
  jobId: signalId,
  timestamp: acceptedAt,
});

/** The options of every letter. A redriven one completes and vanishes, so that its id is free. */
export const letterJobOptions = (letterId: string): JobsOptions => ({
  ...RETRY_OPTIONS,
  backoff: { type: 'fixed', delay: 1_000 },
  jobId: letterId,
  removeOnComplete: true,
});
