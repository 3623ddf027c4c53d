import {
  type WorkerOptions as BullOptions,
  DelayedError,
  type Job,
  type JobsOptions,
  WaitingError,
  type Worker,
} from 'bullmq';
import { createThrottle, type Logger } from '../observability/logger.ts';
import { type JobWorker, LOCK_LOST, type Process, type WorkerOptions } from './backend.ts';

const LOG_EVERY_MS = 10_000;
const LOCK_MS = 30_000;
const STALLED_INTERVAL_MS = 10_000;
const WAKE_CHECK_MS = 100;
const REST_MS = 1_000;
const PUT_OFF_MS = 1_000;

// A worker that dies takes the jobs in its hands with it: how often that happened to one says little
// of whose fault it was. Who is to blame is found out by the processor.
const NEVER = 1_000_000_000;

/** Our options in BullMQ's terms. What a job carries itself would win, so jobs carry none of these. */
export const toBullOptions = ({
  concurrency,
  removeOnComplete,
  backoffMs,
}: Pick<WorkerOptions, 'concurrency' | 'removeOnComplete' | 'backoffMs'>): Omit<
  BullOptions<never>,
  'connection'
> & { lockDuration: number } => ({
  concurrency,
  lockDuration: LOCK_MS,
  maxStalledCount: NEVER,
  stalledInterval: STALLED_INTERVAL_MS,
  ...(removeOnComplete ? { removeOnComplete } : {}),
  ...(backoffMs
    ? {
        settings: {
          backoffStrategy: (attemptsMade: number, _type?: string, err?: Error) =>
            backoffMs(attemptsMade, err),
        },
      }
    : {}),
});

type Events = Pick<
  Worker,
  'close' | 'cancelAllJobs' | 'cancelJob' | 'concurrency' | 'pause' | 'resume' | 'isRunning'
> & {
  on(event: 'error', listener: (err: Error) => void): unknown;
  on(event: 'drained', listener: () => void): unknown;
  on(event: 'failed', listener: (job: Job | undefined) => void): unknown;
  on(event: 'completed', listener: (job: Job) => void): unknown;
  on(event: 'lockRenewalFailed', listener: (jobIds: string[]) => void): unknown;
};

type Around = { logger: Logger; isReachable: () => boolean };

/** Starts a BullMQ worker around a processor, and gives it the manners that ours have. */
export const startBullWorker = <Result>(
  start: (process: Process) => Events,
  process: Process<Result>,
  options: WorkerOptions<Result>,
  { logger, isReachable }: Around,
): JobWorker => {
  const isDue = createThrottle(LOG_EVERY_MS);
  let lastActivityAt = performance.now();
  let slots = options.concurrency;
  let closing = false;
  let resting = false;
  const running = new Set<string>();
  const inFlight = new Set<string>();
  const results = new WeakMap<Job, { result: Result }>();

  const turn = (): void => {
    lastActivityAt = performance.now();
  };
  const letGo = (jobId: string | undefined): void => {
    if (jobId !== undefined) inFlight.delete(jobId);
    turn();
  };

  // Three parameters, without defaults: BullMQ counts them, and gives `abort` only to who has a third.
  const worker = start(async (job, lock, abort) => {
    turn();
    const jobId = job.id ?? '';
    // Its lock was lost here unnoticed, and it came back: BullMQ keeps but one of the two in mind.
    if (running.has(jobId)) {
      // One that can't be moved comes back by itself: it is no attempt either way.
      await job.moveToDelayed(Date.now() + PUT_OFF_MS, lock).catch(() => {});
      throw new DelayedError();
    }
    running.add(jobId);
    inFlight.add(jobId);
    // Fetched before the worker was told to close: it need not begin.
    if (closing) worker.cancelJob(jobId, 'stopping');
    try {
      const result = await process(job, lock, abort);
      results.set(job, { result });
      return result;
    } catch (err) {
      // Handed back: no event tells of it.
      if (err instanceof WaitingError || err instanceof DelayedError) letGo(jobId);
      throw err;
    } finally {
      running.delete(jobId);
    }
  });

  worker.on('error', (err: NodeJS.ErrnoException) => {
    if (err.name === 'ReplyError') rest();
    // The connection speaks for itself.
    const isOfConnection = err.code === 'ECONNREFUSED' || /^Socket timeout/.test(err.message);
    if (!isOfConnection && isDue()) logger.error({ err }, 'Queue worker failed');
  });
  worker.on('drained', turn);
  worker.on('failed', (job) => {
    letGo(job?.id);
    if (job !== undefined) options.onFailed?.(job);
  });
  worker.on('completed', (job) => {
    letGo(job.id);
    const ended = results.get(job);
    if (ended !== undefined) options.onCompleted?.(job, ended.result);
  });
  // Frozen, or cut off from Redis, for longer than a lock lasts: another worker has these by now.
  worker.on('lockRenewalFailed', (jobIds) => {
    for (const jobId of jobIds) {
      worker.cancelJob(jobId, LOCK_LOST);
      letGo(jobId);
    }
  });

  const wake = (): void => {
    worker.resume().catch((err: unknown) => logger.error({ err }, 'Queue worker not resumed'));
    // A loop that was just ending when it was woken would stay deaf.
    setTimeout(() => {
      if (slots > 0 && !closing && !worker.isRunning()) wake();
    }, WAKE_CHECK_MS).unref();
  };

  const pause = (): void => {
    worker.pause(true).catch((err: unknown) => logger.error({ err }, 'Queue worker not paused'));
  };

  // A Redis that refuses what it is asked, for it is full, say, would be asked thousands of times a
  // second. The loop turns all the same: it is not the worker that is at fault.
  const rest = (): void => {
    turn();
    if (resting || slots === 0 || closing) return;
    resting = true;
    pause();
    setTimeout(() => {
      resting = false;
      if (slots > 0 && !closing) wake();
    }, REST_MS).unref();
  };

  return {
    setConcurrency: (most) => {
      slots = Math.min(most, options.concurrency);
      if (closing) return;
      if (slots > 0) {
        worker.concurrency = slots;
        wake();
      } else {
        pause();
      }
    },
    lastActivityAt: () => lastActivityAt,
    // BullMQ waits for the queue before it lets a worker go, if need be for ever. A worker that has
    // nothing to tell it need not.
    close: () => {
      closing = true;
      return worker.close(inFlight.size === 0 && !isReachable());
    },
    abortJobs: (reason) => worker.cancelAllJobs(reason),
  };
};

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

/** The options of every dead letter. A redriven one completes and vanishes, so that its id is free. */
export const deadLetterJobOptions = (deadLetterId: string): JobsOptions => ({
  ...RETRY_OPTIONS,
  backoff: { type: 'fixed', delay: 1_000 },
  jobId: deadLetterId,
  removeOnComplete: true,
});
