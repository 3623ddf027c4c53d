import {
  type WorkerOptions as BullOptions,
  DelayedError,
  type Job,
  type JobsOptions,
  WaitingError,
  type Worker,
} from 'bullmq';
import { createThrottle, type Logger } from '../observability/logger.ts';
import { type JobProcessor, type JobWorker, LOCK_LOST, type WorkerOptions } from './backend.ts';

const LOG_INTERVAL_MS = 10_000;
const LOCK_MS = 30_000;
const STALLED_INTERVAL_MS = 10_000;
const RESUME_CHECK_INTERVAL_MS = 100;
const ERROR_PAUSE_MS = 1_000;
const DOUBLE_RUN_DELAY_MS = 1_000;

// A crash stalls every in-flight job, so BullMQ's stalled count does not identify the culprit; the
// processor decides.
const MAX_STALLED_COUNT = 1_000_000_000;

/** Our options in BullMQ's terms. Options of a job win over these, so our jobs carry none of them. */
export const toBullOptions = ({
  concurrency,
  removeOnComplete,
  backoffMs,
}: Pick<WorkerOptions, 'concurrency' | 'removeOnComplete' | 'backoffMs'>): Omit<
  BullOptions<never>,
  'connection'
> & { lockDuration: number } => ({
  autorun: false,
  concurrency,
  lockDuration: LOCK_MS,
  maxStalledCount: MAX_STALLED_COUNT,
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

type BullWorker = Pick<
  Worker,
  | 'close'
  | 'cancelAllJobs'
  | 'cancelJob'
  | 'concurrency'
  | 'pause'
  | 'resume'
  | 'run'
  | 'isPaused'
  | 'isRunning'
  | 'waitUntilReady'
> & {
  on(event: 'error', listener: (err: Error) => void): unknown;
  on(event: 'drained', listener: () => void): unknown;
  on(event: 'failed', listener: (job: Job | undefined) => void): unknown;
  on(event: 'completed', listener: (job: Job) => void): unknown;
  on(event: 'lockRenewalFailed', listener: (jobIds: string[]) => void): unknown;
};

type Deps = { logger: Logger; isReachable: () => boolean };

/** Starts a BullMQ worker around a processor, and handles its events, errors, pauses and shutdown. */
export const startBullWorker = <Result>(
  start: (process: JobProcessor) => BullWorker,
  process: JobProcessor<Result>,
  options: WorkerOptions<Result>,
  { logger, isReachable }: Deps,
): JobWorker => {
  const isLogDue = createThrottle(LOG_INTERVAL_MS);
  let lastActivityAt = performance.now();
  let slots = options.concurrency;
  let closing = false;
  let ready = false;
  let pausedByError = false;
  const running = new Set<string>();
  const inFlight = new Set<string>();
  const results = new WeakMap<Job, { result: Result }>();

  const recordActivity = (): void => {
    lastActivityAt = performance.now();
  };
  const endJob = (jobId: string | undefined): void => {
    if (jobId !== undefined) inFlight.delete(jobId);
    recordActivity();
  };

  // Three parameters without defaults: BullMQ counts them, and passes `abort` only if there is a third.
  const runJob: JobProcessor = async (job, lock, abort) => {
    recordActivity();
    const jobId = job.id ?? '';
    // The lock was lost unnoticed, and this worker received the job again. BullMQ tracks only one run
    // per job id, so the second run must wait for the end of the first.
    if (running.has(jobId)) {
      // A job that cannot be moved stalls and comes back by itself. Neither way costs an attempt.
      await job.moveToDelayed(Date.now() + DOUBLE_RUN_DELAY_MS, lock).catch(() => {});
      throw new DelayedError();
    }
    running.add(jobId);
    inFlight.add(jobId);
    // BullMQ fetched the job before the worker closed: the processor is to release it.
    if (closing) worker.cancelJob(jobId, 'stopping');
    try {
      const result = await process(job, lock, abort);
      results.set(job, { result });
      return result;
    } catch (err) {
      // BullMQ emits no event for a released job.
      if (err instanceof WaitingError || err instanceof DelayedError) endJob(jobId);
      throw err;
    } finally {
      running.delete(jobId);
      options.onEnded?.(jobId);
    }
  };

  const open = (): BullWorker => {
    const opened = start(runJob);
    opened.on('error', (err: NodeJS.ErrnoException) => {
      if (err.name === 'ReplyError') pauseAfterError();
      // The connection logs its own errors.
      const isConnectionError = err.code === 'ECONNREFUSED' || /^Socket timeout/.test(err.message);
      if (!isConnectionError && isLogDue()) logger.error({ err }, 'Queue worker failed');
    });
    opened.on('drained', recordActivity);
    opened.on('failed', (job) => {
      endJob(job?.id);
      if (job !== undefined) options.onFailed?.(job);
    });
    opened.on('completed', (job) => {
      endJob(job.id);
      const ended = results.get(job);
      if (ended !== undefined) options.onCompleted?.(job, ended.result);
    });
    // The process was frozen, or cut off from Redis, for longer than a lock lasts. Another worker may run
    // these jobs by now.
    opened.on('lockRenewalFailed', (jobIds) => {
      for (const jobId of jobIds) {
        worker.cancelJob(jobId, LOCK_LOST);
        endJob(jobId);
      }
    });
    opened.waitUntilReady().then(onReady, (err: unknown) => reopen(opened, err));
    return opened;
  };

  const onReady = (): void => {
    ready = true;
    if (slots === 0 || closing) return;
    worker.concurrency = slots;
    if (worker.isPaused()) resume();
    else worker.run().catch((err: unknown) => logger.error({ err }, 'Queue worker failed'));
  };

  // A BullMQ worker whose first command failed never recovers: each call of its loop fails at once, and
  // the loop would leave the event loop no turn. So its loop starts when it is ready, or another replaces it.
  const reopen = (failed: BullWorker, err: unknown): void => {
    if (closing) return;
    recordActivity();
    if (isLogDue()) logger.error({ err }, 'Failed to start the queue worker; trying again');
    failed.close(true).catch(() => {});
    setTimeout(() => {
      if (!closing) worker = open();
    }, ERROR_PAUSE_MS).unref();
  };

  const resume = (): void => {
    if (!ready) return;
    worker
      .resume()
      .catch((err: unknown) => logger.error({ err }, 'Failed to resume the queue worker'));
    // BullMQ ignores `resume` while its loop is ending, so the worker would stay paused.
    setTimeout(() => {
      if (slots > 0 && !closing && !worker.isRunning()) resume();
    }, RESUME_CHECK_INTERVAL_MS).unref();
  };

  const pause = (): void => {
    worker
      .pause(true)
      .catch((err: unknown) => logger.error({ err }, 'Failed to pause the queue worker'));
  };

  // A Redis that rejects commands, for example because it is full, would receive thousands of them per
  // second. Counts as activity: the worker itself is healthy.
  const pauseAfterError = (): void => {
    recordActivity();
    if (pausedByError || slots === 0 || closing || !ready) return;
    pausedByError = true;
    pause();
    setTimeout(() => {
      pausedByError = false;
      if (slots > 0 && !closing) resume();
    }, ERROR_PAUSE_MS).unref();
  };

  let worker = open();

  return {
    setConcurrency: (wanted) => {
      slots = Math.min(wanted, options.concurrency);
      if (closing) return;
      if (slots > 0) {
        worker.concurrency = slots;
        resume();
      } else {
        pause();
      }
    },
    lastActivityAt: () => lastActivityAt,
    // BullMQ's `close` waits for the queue without a limit. It need not if no job is in flight.
    close: () => {
      closing = true;
      return worker.close(inFlight.size === 0 && !isReachable());
    },
    abortJobs: (reason) => worker.cancelAllJobs(reason),
  };
};

/** The name of the backoff strategy that workers register. */
export const SEEK_BACKOFF = 'seek';

// BullMQ must never give up on a job: the worker applies its own retry limits at each attempt.
const MAX_BULLMQ_ATTEMPTS = 1_000_000_000;

/** The worker sets these on each job again: a job that another program added may carry any options. */
export const RETRY_OPTIONS = {
  attempts: MAX_BULLMQ_ATTEMPTS,
  backoff: { type: SEEK_BACKOFF },
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
