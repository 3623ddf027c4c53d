import type { Job } from 'bullmq';
import { createThrottle, type Logger } from '../observability/logger.ts';
import { createHeldJobs } from './heldJobs.ts';
import type { Completion, JobSource, TakenJob, Wanted } from './jobSource.ts';

const LOG_INTERVAL_MS = 10_000;
const ERROR_PAUSE_MS = 1_000;
// Redis works on one exchange while this process works on the jobs of another.
const MAX_EXCHANGES = 2;
const MAX_JOBS_PER_EXCHANGE = 100;
const MAX_BYTES_PER_EXCHANGE = 1024 * 1024;
// A signal takes several times its size while it is sent. This bound keeps a worker within 320 MiB, also
// with signals that were accepted under a larger MAX_SIGNAL_BYTES.
const MAX_BYTES_HELD = 8 * 1024 * 1024;

const NONE: Wanted = { jobs: 0, bytes: 0 };

export type JobPoolDeps<Context> = {
  source: JobSource;
  /** How many jobs are held at most. */
  capacity: number;
  logger: Logger;
  /** Called when a job has completed in the queue. */
  onCompleted?: (context: Context) => void;
  /** Called when a job has failed in the queue. */
  onFailed?: ((job: Job) => void) | undefined;
};

/**
 * Takes jobs from a queue and holds them until they have ended. Each exchange completes many jobs and takes
 * many others. A job whose lock was lost is not held any more: nothing is done with it.
 */
export const createJobPool = <Context>({
  source,
  capacity: maxCapacity,
  logger,
  onCompleted = () => {},
  onFailed = () => {},
}: JobPoolDeps<Context>) => {
  const isLogDue = createThrottle(LOG_INTERVAL_MS);
  const stopping = new AbortController();
  let completions: (Completion & { context: Context })[] = [];
  let run = async (_jobs: readonly TakenJob[]): Promise<void> => {};
  let capacity = maxCapacity;
  let isOpen = false;
  let isClosing = false;
  const exchanges = new Set<Promise<void>>();
  let jobsOrdered = 0;
  let waiting: Promise<void> | undefined;
  let isPaused = false;
  let isScheduled = false;
  let mayHaveJobs = true;
  let runsAlone: TakenJob | undefined;
  let lastActivityAt = performance.now();

  const recordActivity = (): void => {
    lastActivityAt = performance.now();
  };
  const logError = (err: unknown, message: string): void => {
    if (isLogDue()) logger.error({ err }, message);
  };
  const held = createHeldJobs({
    source,
    onReleased: () => {
      recordActivity();
      schedule();
    },
    logger,
  });

  /** How many jobs may be taken now, and how large together. */
  const wanted = (): Wanted => {
    if (isClosing || runsAlone !== undefined) return NONE;
    const bytes = Math.min(
      MAX_BYTES_PER_EXCHANGE,
      MAX_BYTES_HELD - held.bytes() - exchanges.size * MAX_BYTES_PER_EXCHANGE,
    );
    const free = capacity - held.size() - jobsOrdered + completions.length;
    const jobs = Math.min(free, MAX_JOBS_PER_EXCHANGE);
    return bytes > 0 && jobs > 0 ? { jobs, bytes } : NONE;
  };

  /** Collects what ends in the same turn of the event loop. */
  const schedule = (): void => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      proceed();
    });
  };

  const proceed = (): void => {
    if (!isOpen || isPaused || exchanges.size === MAX_EXCHANGES) return;
    const order = wanted();
    if (completions.length > 0 || (order.jobs > 0 && mayHaveJobs)) {
      const exchanging: Promise<void> = exchange(order).finally(() => {
        exchanges.delete(exchanging);
        recordActivity();
        schedule();
      });
      exchanges.add(exchanging);
    } else if (order.jobs > 0 && waiting === undefined && exchanges.size === 0) {
      waiting = waitForJob().finally(() => {
        waiting = undefined;
        recordActivity();
        schedule();
      });
    }
  };

  const exchange = async (order: Wanted): Promise<void> => {
    const batch = completions.splice(0, MAX_JOBS_PER_EXCHANGE);
    jobsOrdered += order.jobs;
    try {
      const { completed, taken, hasMore } = await source.exchange(batch, order);
      mayHaveJobs = hasMore;
      for (const [n, { job, context }] of batch.entries()) {
        endCompletion(job, context, completed[n]);
      }
      accept(taken);
    } catch (err) {
      completions = [...batch, ...completions];
      logError(err, 'Failed to exchange jobs with the queue; trying again');
      pause();
    } finally {
      jobsOrdered -= order.jobs;
    }
  };

  const endCompletion = (job: TakenJob, context: Context, isCompleted = false): void => {
    if (!held.has(job)) return;
    held.release(job);
    try {
      if (isCompleted) onCompleted(context);
      else held.logLost(job);
    } catch (err) {
      // A fault of ours. The other jobs of the exchange have completed too, or are taken.
      logError(err, 'Failed to report a completed job');
    }
  };

  const waitForJob = async (): Promise<void> => {
    try {
      const job = await source.waitForJob();
      mayHaveJobs = job !== undefined;
      if (job !== undefined) accept([job]);
    } catch (err) {
      if (!isClosing) logError(err, 'Failed to wait for a job; trying again');
      pause();
    }
  };

  // A Redis that rejects commands, for example because it is full, would receive thousands of them per
  // second.
  const pause = (): void => {
    isPaused = true;
    setTimeout(() => {
      isPaused = false;
      schedule();
    }, ERROR_PAUSE_MS);
  };

  const accept = (jobs: TakenJob[]): void => {
    for (const job of jobs) held.add(job);
    if (jobs.length > 0) void startJobs(jobs);
  };

  const startJobs = async (jobs: TakenJob[]): Promise<void> => {
    const confirmed = new Set(await source.confirm(jobs, stopping.signal).catch(() => []));
    for (const job of jobs) if (!confirmed.has(job)) held.release(job);
    const ready = jobs.filter(held.has);
    try {
      // A wait or an exchange that began earlier may take a job while another runs alone.
      const isUnwanted = isClosing || runsAlone !== undefined;
      await (isUnwanted ? Promise.all(ready.map(requeue)) : run(ready));
    } catch (err) {
      // A fault of ours. The jobs come back when their locks expire.
      logError(err, 'Failed to run jobs; they will be repeated');
      for (const job of ready) held.release(job);
    }
  };

  /** Ends one job by itself. If the queue rejects that, the job comes back when its lock expires. */
  const end = async <T>(job: TakenJob, endJob: () => Promise<T>): Promise<T | undefined> => {
    if (!held.has(job)) return undefined;
    held.markEnding(job);
    try {
      return await endJob();
    } catch (err) {
      logError(err, 'Failed to end a job; it will be repeated');
      return undefined;
    } finally {
      held.release(job);
    }
  };

  const requeue = (job: TakenJob): Promise<void> => end(job, () => source.requeue(job));

  const open = async (): Promise<void> => {
    if (isClosing) return;
    try {
      await source.open();
      isOpen = true;
      schedule();
    } catch (err) {
      if (isClosing) return;
      recordActivity();
      logError(err, 'Failed to open the queue; trying again');
      setTimeout(() => void open(), ERROR_PAUSE_MS).unref();
    }
  };

  return {
    /** Begins to take jobs. `runJobs` is called with each set of jobs, and must end each of them. */
    start: (runJobs: (jobs: readonly TakenJob[]) => Promise<void>): void => {
      run = runJobs;
      void open();
    },
    /** Whether this process still holds the job. */
    holds: held.has,
    /** Stops holding a job that another worker holds. */
    release: held.release,
    /** Completes the job with the next exchange, which stores `result`. */
    complete: (job: TakenJob, result: unknown, context: Context): void => {
      if (!held.has(job)) return;
      held.markEnding(job);
      completions.push({ job, result, context });
      schedule();
    },
    /** Spends an attempt. `reason` is stored with the job. */
    retry: (job: TakenJob, reason: string, waitMs: number): Promise<void> =>
      end(job, () => source.retry(job, reason, waitMs)),
    fail: async (job: TakenJob, reason: string): Promise<void> => {
      const failed = await end(job, () => source.fail(job, reason));
      if (failed !== undefined) onFailed(failed);
    },
    /** Postpones the job until `at` (ms), without an attempt. */
    delay: (job: TakenJob, at: number): Promise<void> => end(job, () => source.delay(job, at)),
    /** Gives the job back to the queue, without an attempt. */
    requeue,
    /** Limits how many jobs are held. At 0 no job is taken. */
    setCapacity: (wanted: number): void => {
      capacity = Math.min(wanted, maxCapacity);
      schedule();
    },
    /**
     * Runs `work` while no other job is held, and none is taken. `undefined`: another job runs alone, or
     * waits to.
     */
    runAlone: async <T>(job: TakenJob, work: () => Promise<T>): Promise<T | undefined> => {
      if (runsAlone !== undefined) return undefined;
      runsAlone = job;
      try {
        await held.until(() => held.size() === 1 || !held.has(job));
        return await work();
      } finally {
        runsAlone = undefined;
        schedule();
      }
    },
    /** When a job was taken or ended, or the queue was found empty, by `performance.now()`. */
    lastActivityAt: (): number => lastActivityAt,
    /** Takes no more jobs. Resolves when those that are held have ended. */
    close: async (): Promise<void> => {
      isClosing = true;
      stopping.abort();
      // Without a connection, it would wait for one.
      if (waiting !== undefined) await source.stopWaiting().catch(() => {});
      const untilEmpty = () => held.until(() => held.size() === 0);
      await untilEmpty();
      // They may still take jobs, which are given back.
      if (source.isReachable()) await Promise.all([...exchanges, waiting]);
      await untilEmpty();
      held.stop();
      await source.close();
    },
  };
};

export type JobPool<Context> = ReturnType<typeof createJobPool<Context>>;
