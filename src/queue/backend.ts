import type { Job, Queue } from 'bullmq';

import type { Logger } from '../logging.ts';
import type { SignalLife } from '../schemas/states.ts';
import type { JobData } from './jobData.ts';
import type { LaneStore } from './laneState.ts';
import type { Finding } from './redisSafety.ts';
import type { TokenStore } from './seekTokens.ts';

export const SIGNALS = 'signals';
export const DEAD_LETTERS = 'dead-letters';

export type QueueName = typeof SIGNALS | typeof DEAD_LETTERS;

/** The part of a BullMQ queue that we use, the same on Redis and on the embedded queue. */
export type JobQueue = Pick<
  Queue<unknown>,
  | 'add'
  | 'addBulk'
  | 'getJob'
  | 'getJobs'
  | 'getRanges'
  | 'getJobState'
  | 'getJobCounts'
  | 'isPaused'
  | 'remove'
>;

/** What works on a job. `abort` fires when the worker stops, or with `LOCK_LOST` as its reason. */
export type Process<Result = unknown> = (
  job: Job,
  lock: string | undefined,
  abort: AbortSignal | undefined,
) => Promise<Result>;

/** The job is another worker's by now: nothing that we say of it counts any more. */
export const LOCK_LOST = 'lock lost';

export type WorkerOptions<Result = unknown> = {
  concurrency: number;
  removeOnComplete?: { age: number; count: number };
  backoffMs?: (attemptsMade: number, err: unknown) => number;
  onFailed?: (job: Job) => void;
  onCompleted?: (job: Job, result: Result) => void;
};

export type JobWorker = {
  /** How many jobs it may have in hand at once, up to its concurrency; with 0 it takes none. */
  throttle: (slots: number) => void;
  /** When its loop last did anything, by `performance.now()`. */
  turnedAt: () => number;
  /** Takes no more jobs; resolves when those in hand have ended. */
  close: () => Promise<void>;
  /** Aborts the jobs in hand: their processors see it on their abort signal. */
  abortJobs: (reason: string) => void;
};

/** What is remembered of a signalId: its content, and whether the queue took it. */
export type Remembered = { contentId: string; accepted: boolean };

/** What is known of a signalId before it is added. */
export type Claim = {
  /** Absent where we are the first. */
  remembered?: Remembered;
  queued: boolean;
  buried: boolean;
};

export type Unsent = { signalId: string; acceptedAt: number };

export type Settled = { signalId: string; outcome: 'delivered' | 'skipped' | 'dead' };

/** What BullMQ does not keep: who was accepted lately, who is still unsent, who was skipped. */
export type Ledger = {
  /**
   * Takes each id for a short while, unless it is remembered: of many callers at once, one is first.
   * Lists those that are about to be queued as unsent.
   */
  claim: (
    entries: { signalId: string; contentId: string }[],
    acceptedAt: number,
  ) => Promise<Claim[]>;
  recall: (signalId: string) => Promise<Remembered | undefined>;
  /** Remembers accepted signals for `REMEMBER_MS` from their acceptance. `true`: we were the first. */
  confirm: (entries: (Unsent & { contentId: string })[]) => Promise<boolean[]>;
  markUnsent: (entry: Unsent) => Promise<void>;
  /** Strikes signals off the unsent list, counts them, and forgets that those sent were ever skipped. */
  settle: (entries: Settled[]) => Promise<void>;
  strike: (signalIds: string[]) => Promise<void>;
  /** The unsent signals that were accepted first. May name settled ones after a crash. */
  oldestUnsent: (limit: number) => Promise<Unsent[]>;
  /** How many were settled in the last 24 hours, to the hour. */
  settledLately: () => Promise<{ delivered: number; skipped: number }>;
  /**
   * Turns a settled signal into one that is about to be queued, as a claim does: its job goes, if it
   * finished at that time, and otherwise there must be none, but a record that it was skipped, which goes.
   */
  reopen: (entry: Unsent & { contentId: string }, finishedAt?: number) => Promise<boolean>;
  /** Of a signal that a worker skips, for as long as it is remembered: its duplicates are told. */
  keepSkipped: (life: SignalLife) => Promise<void>;
  findSkipped: (signalId: string) => Promise<SignalLife | undefined>;
};

export type StoredJob = { id: string; text: string };

/** Jobs as they lie below BullMQ, whatever they are about to become. */
export type JobStore = {
  /** Each that is there from beginning to end, however it moves from state to state meanwhile. */
  every: (name: QueueName) => AsyncIterable<StoredJob>;
  /** Changes a job's data, unless somebody else has. */
  swap: (name: QueueName, job: StoredJob, data: unknown) => Promise<boolean>;
  /**
   * Removes a job only if it finished in that state and at that millisecond: a job of the same id
   * that came since stays. BullMQ's own `remove` takes whatever bears the id. The record of a signal
   * that is skipped thereby comes in the same step, or not at all.
   */
  removeFinished: (
    name: QueueName,
    state: Finished,
    job: FinishedJob,
    record?: SignalLife,
  ) => Promise<boolean>;
  /** As much for a job that waits, for its turn or for its next attempt. */
  removeWaiting: (name: QueueName, jobId: string, record?: SignalLife) => Promise<boolean>;
};

export type Finished = 'completed' | 'failed';
export type FinishedJob = { jobId: string; finishedAt: number };

/** What the queue runs on. */
export type Backend = {
  queue: (name: QueueName) => Promise<JobQueue>;
  /** For Bull Board alone, which wants the whole of it. */
  bullQueue: (name: QueueName) => Promise<Queue>;
  work: <Result>(
    name: QueueName,
    process: Process<Result>,
    options: WorkerOptions<Result>,
  ) => Promise<JobWorker>;
  ledger: Ledger;
  lane: LaneStore;
  tokens: TokenStore;
  jobData: JobData;
  jobs: JobStore;
  /**
   * Resolves once `WAIT_REPLICAS` replicas have all that the caller has written. `since`: when it
   * began to, by `performance.now()`; rejects if the connection was lost in between.
   */
  replicated: (since: number) => Promise<void>;
  /** What speaks for and against trusting it with signals. */
  inspect: () => Promise<Finding[]>;
  /** Calls `listener` whenever the queue is reached: for the first time, and again after a loss. */
  onReached: (listener: () => void) => void;
  ping: () => Promise<void>;
  close: () => Promise<void>;
};

export type BackendOptions = {
  prefix: string;
  rememberMs: number;
  keepDeliveredMs: number;
  logger: Logger;
};
