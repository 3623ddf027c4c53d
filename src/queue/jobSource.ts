import { setTimeout as delay } from 'node:timers/promises';
import { Job, UnrecoverableError, type Worker } from 'bullmq';
import { v4 as uuidV4 } from 'uuid';
import { createThrottle, type Logger } from '../observability/logger.ts';
import { jsonBytes } from '../schemas/json.ts';
import { LOCK_MS, RETRY_OPTIONS, RetryError } from './jobOptions.ts';

/** A job that this process has taken from the queue. */
export type TakenJob = {
  readonly id: string;
  readonly name: string;
  /** `undefined` if the stored text is no JSON. */
  data: unknown;
  /** The size of the stored data. */
  readonly bytes: number;
  /** When the job was added, in ms. */
  readonly timestamp: number;
  readonly attemptsMade: number;
  /** How often a worker lost the job, because it crashed or was frozen. */
  readonly stalledCounter: number;
  /** Proves to the queue that this process holds the job. Another run of the job has another lock. */
  readonly lock: string;
};

export type Completion = { job: TakenJob; result: unknown };

/** `bytes`: of job data. At least one job is taken if `jobs` is not 0, however large it is. */
export type Wanted = { jobs: number; bytes: number };

export type Exchange = {
  /** For each completion whether it counts. `false`: another worker holds the job, or has ended it. */
  completed: boolean[];
  taken: TakenJob[];
  /** Whether there may be more jobs than were taken. */
  hasMore: boolean;
};

/**
 * The jobs of one queue, as a worker takes and ends them. `retry`, `fail`, `delay` and `requeue` end one
 * job, and reject if this process does not hold it any more. A job that cannot be ended comes back to the
 * queue when its lock expires.
 */
export type JobSource = {
  /** Connects. Rejects if the queue refuses the worker; may be repeated. */
  open: () => Promise<void>;
  /** Completes jobs and takes others. If it rejects, it may be repeated with the same completions. */
  exchange: (completions: readonly Completion[], wanted: Wanted) => Promise<Exchange>;
  /** Waits for a job, a few seconds at most, and takes it. */
  waitForJob: () => Promise<TakenJob | undefined>;
  /** Ends `waitForJob`. */
  stopWaiting: () => Promise<void>;
  /** Resolves with those of the jobs that this process may run. Waits while that is in doubt. */
  confirm: (jobs: TakenJob[], abort: AbortSignal) => Promise<TakenJob[]>;
  /** Resolves with the ids of the jobs whose locks were lost. */
  extendLocks: (jobs: readonly TakenJob[]) => Promise<string[]>;
  /** Spends an attempt. */
  retry: (job: TakenJob, reason: string, waitMs: number) => Promise<void>;
  /** Resolves with the failed job. */
  fail: (job: TakenJob, reason: string) => Promise<Job>;
  /** Postpones the job until `at` (ms), without an attempt. */
  delay: (job: TakenJob, at: number) => Promise<void>;
  /** Gives the job back to the queue, without an attempt. */
  requeue: (job: TakenJob) => Promise<void>;
  isReachable: () => boolean;
  /** Call when no job is held any more. */
  close: () => Promise<void>;
};

/** A worker of BullMQ. In manual mode it behaves the same in Redis and in the embedded queue. */
export type BullWorker = Worker<unknown>;

export type BullJobSource = JobSource & {
  /** Whether it took the job, and the job uses no feature of BullMQ that runs when a job completes. */
  hasTakenPlain: (job: TakenJob) => boolean;
};

type Deps = {
  /** Creates BullMQ's worker, without a processor. */
  openWorker: () => BullWorker;
  isReachable?: () => boolean;
  /** Called with errors that BullMQ's worker met in the background. */
  onError: (err: Error) => void;
};

// BullMQ's worker returns at once, without a job, while the queue limits its rate.
const MIN_WAIT_MS = 100;

/**
 * The jobs of a queue by BullMQ's worker in manual mode (docs.bullmq.io, "Manually fetching jobs"): each
 * job is taken and ended by itself.
 */
export const createBullJobSource = ({
  openWorker,
  isReachable = () => true,
  onError,
}: Deps): BullJobSource => {
  const open = (): BullWorker => {
    const opened = openWorker();
    // Without a listener, an error would end the process.
    opened.on('error', onError);
    return opened;
  };
  let worker = open();
  let isClosed = false;
  let quickReturns = 0;
  const newLock = createLocks();
  // A job that BullMQ has taken is ended by the same object.
  const bullJobs = new WeakMap<TakenJob, Job>();
  // The completions that count, because an exchange may be repeated after another of them has failed.
  const counted = new WeakSet<Completion>();

  const toTaken = (job: Job, lock: string): TakenJob => {
    const { id = '', name, data, timestamp, attemptsMade, stalledCounter } = job;
    const bytes = jsonBytes(data);
    const taken = { id, name, data, bytes, timestamp, attemptsMade, stalledCounter, lock };
    bullJobs.set(taken, job);
    return taken;
  };

  const take = async (block: boolean): Promise<TakenJob | undefined> => {
    const lock = newLock();
    const job = await worker.getNextJob(lock, { block });
    return job && toTaken(job, lock);
  };

  const bullJobOf = async (taken: TakenJob): Promise<Job> => {
    const job = bullJobs.get(taken) ?? (await Job.fromId(worker, taken.id));
    if (job === undefined) throw new Error(`Expected the job ${taken.id}, found none`);
    job.data = taken.data;
    // This worker's configuration decides how often a job is tried, not the options stored with it.
    Object.assign(job.opts, RETRY_OPTIONS);
    return job;
  };

  const complete = async (completion: Completion): Promise<boolean> => {
    if (counted.has(completion)) return true;
    const { job, result } = completion;
    const bullJob = await bullJobOf(job);
    try {
      await bullJob.moveToCompleted(result, job.lock, false);
      counted.add(completion);
      return true;
    } catch (err) {
      if (isLostJob(err)) return false;
      throw err;
    }
  };

  return {
    open: async () => {
      try {
        await worker.waitUntilReady();
        await worker.startStalledCheckTimer();
      } catch (err) {
        // A BullMQ worker whose first command failed never recovers.
        worker.close(true).catch(() => {});
        if (!isClosed) worker = open();
        throw err;
      }
    },

    exchange: async (completions, wanted) => {
      const completed: boolean[] = [];
      for (const completion of completions) completed.push(await complete(completion));
      const taken: TakenJob[] = [];
      for (let bytes = 0; taken.length < wanted.jobs && bytes < wanted.bytes; ) {
        const job = await take(false);
        if (job === undefined) return { completed, taken, hasMore: false };
        taken.push(job);
        bytes += job.bytes;
      }
      return { completed, taken, hasMore: wanted.jobs > 0 };
    },

    waitForJob: async () => {
      const startedAt = performance.now();
      const job = await take(true);
      // The first call finds that no job waits, and only the next one waits for one.
      quickReturns = performance.now() - startedAt < MIN_WAIT_MS ? quickReturns + 1 : 0;
      if (job === undefined && quickReturns > 2) await delay(MIN_WAIT_MS);
      return job;
    },

    // Does not wait until the connection has ended: without Redis, that takes too long.
    stopWaiting: () => worker.getBackend().disconnectBlocking(false),

    confirm: async (jobs) => jobs,

    extendLocks: (jobs) =>
      worker.getBackend().extendLocks(
        jobs.map(({ id }) => id),
        jobs.map(({ lock }) => lock),
        LOCK_MS,
      ),

    retry: async (job, reason, waitMs) => {
      await (await bullJobOf(job)).moveToFailed(new RetryError(reason, waitMs), job.lock);
    },

    fail: async (job, reason) => {
      const bullJob = await bullJobOf(job);
      await bullJob.moveToFailed(new UnrecoverableError(reason), job.lock);
      return bullJob;
    },

    delay: async (job, at) => (await bullJobOf(job)).moveToDelayed(at, job.lock),

    requeue: async (job) => {
      await (await bullJobOf(job)).moveToWait(job.lock);
    },

    isReachable,

    close: () => {
      isClosed = true;
      return worker.close(true);
    },

    hasTakenPlain: (taken) => {
      const job = bullJobs.get(taken);
      if (job === undefined || job.parentKey !== undefined || job.repeatJobKey !== undefined) {
        return false;
      }
      return job.opts.deduplication === undefined && job.opts.removeOnComplete === undefined;
    },
  };
};

/** Makes the lock of each take unique, so that a job which comes back to the same process has another one. */
export const createLocks = (): (() => string) => {
  const id = uuidV4();
  let count = 0;
  return () => {
    count += 1;
    return `${id}:${count}`;
  };
};

/** Whether BullMQ rejects the end of a job because this process does not hold it, or it is gone. */
const isLostJob = (err: unknown): boolean =>
  err instanceof Error && 'code' in err && typeof err.code === 'number' && err.code < 0;

const LOG_INTERVAL_MS = 10_000;

/** Logs the errors of BullMQ's workers, except those that the connection logs itself. */
export const createLogWorkerError = (logger: Logger): ((err: Error) => void) => {
  const isLogDue = createThrottle(LOG_INTERVAL_MS);
  return (err) => {
    const isConnectionError =
      ('code' in err && err.code === 'ECONNREFUSED') || /^Socket timeout/.test(err.message);
    if (!isConnectionError && isLogDue()) logger.error({ err }, 'Queue worker failed');
  };
};
