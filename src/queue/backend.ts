import type { Job, Queue } from 'bullmq';
import type { Logger } from '../observability/logger.ts';
import { isObject } from '../schemas/json.ts';
import type { NewSignalJob } from '../schemas/signalJob.ts';
import type { SignalRecord } from '../schemas/signalRecord.ts';
import type { BreakerStore } from './breakerState.ts';
import type { DedupeRecord } from './dedupeWindow.ts';
import type { SearchIndex } from './searchIndex.ts';
import type { WorkerStats } from './workerStats.ts';

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
  setConcurrency: (slots: number) => void;
  /** When its loop last did anything, by `performance.now()`. */
  lastActivityAt: () => number;
  /** Takes no more jobs; resolves when those in hand have ended. */
  close: () => Promise<void>;
  /** Aborts the jobs in hand: their processors see it on their abort signal. */
  abortJobs: (reason: string) => void;
};

/** A signal that is to be queued. */
export type NewJob = { signalId: string; contentId: string; data: NewSignalJob };

export type EnqueueIfAbsentResult =
  | { kind: 'added' }
  /** It is in a queue, or was settled not long ago: then its content is remembered. */
  | { kind: 'known'; remembered?: string; queued: boolean };

export type Unsent = { signalId: string; acceptedAt: number };

export type Settled = Pick<OutcomeEvent, 'signalId' | 'outcome'> & {
  /** What the outbox is to be told of it. */
  report?: Omit<OutcomeEvent, 'signalId' | 'outcome'>;
};

/** What BullMQ does not keep: who was settled lately, who is still unsent, who was skipped. */
export type Bookkeeping = {
  /** The content of a signal that was settled not long ago. */
  findDedupeRecord: (signalId: string) => Promise<string | undefined>;
  /** Lists one that was let go of, whatever for: that it waits as long as others is not certain any more. */
  markUnsent: (entry: Unsent) => Promise<void>;
  /** Strikes signals off the unsent list, counts them, and forgets that those sent were ever skipped. */
  recordOutcomes: (entries: Settled[]) => Promise<void>;
  removeUnsent: (signalIds: string[]) => Promise<void>;
  /** The unsent signals that were accepted first. May name settled ones after a crash. */
  oldestUnsent: (limit: number) => Promise<Unsent[]>;
  /** How many were settled in the last 24 hours, to the hour. */
  countRecentOutcomes: () => Promise<{ delivered: number; skipped: number }>;
  /**
   * Forgets a settled signal, so that it can be admitted anew: its job goes, if it finished at that
   * time, and otherwise there must be none, but a record that it was skipped, which goes. `false`: it is
   * not so, or somebody else was first.
   */
  reopen: (signalId: string, finishedAt?: number) => Promise<boolean>;
  /** Of a signal that a worker skips, for as long as it is remembered: its duplicates are told. */
  saveSkipRecord: (record: SignalRecord, until: number) => Promise<void>;
  findSkipRecord: (signalId: string) => Promise<SignalRecord | undefined>;
};

/**
 * What a worker stores with a job. BullMQ's own `updateData` does not check the lock: a worker that was
 * frozen for longer than its locks last would overwrite what the job's next worker stored.
 */
export type JobDataStore = {
  /** Writes while this worker holds the job. `false`: another worker holds it by now. */
  write: (job: Job, lock: string | undefined, data: unknown) => Promise<boolean>;
  /** Writes while the job's data equals `from`, whichever worker holds the job. */
  replace: (job: Job, from: unknown, to: unknown) => Promise<boolean>;
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
   * that came since stays. BullMQ's own `remove` takes whatever bears the id. What is told of a signal
   * that is skipped thereby is told in the same step, or not at all.
   */
  removeFinished: (
    name: QueueName,
    state: Finished,
    job: FinishedJob,
    told?: SkipRecord,
  ) => Promise<boolean>;
  /** As much for a job that waits, for its turn or for its next attempt. */
  removeWaiting: (name: QueueName, jobId: string, told?: SkipRecord) => Promise<boolean>;
  /** How many of those that wait for their next attempt are due. */
  countDue: (name: QueueName) => Promise<number>;
};

/** What is told of a skipped signal, and by what it is known again. */
export type SkipRecord = { record: SignalRecord; dedupe: DedupeRecord };

export type Finished = 'completed' | 'failed';
export type FinishedJob = { jobId: string; finishedAt: number };

export type MemoryUse = { used: number; limit: number };

/** The result of one check of a deployment. */
export type SafetyFinding = {
  subject: string;
  level: 'ok' | 'warning' | 'error';
  message: string;
};

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
  /** Queues signals that are not known; of many callers at once, one is first. Their ids must differ. */
  enqueueIfAbsent: (jobs: NewJob[]) => Promise<EnqueueIfAbsentResult[]>;
  bookkeeping: Bookkeeping;
  index: SearchIndex;
  workerStats: WorkerStats;
  outcomeStream: OutcomeStream;
  breaker: BreakerStore;
  tokens: TokenStore;
  jobData: JobDataStore;
  jobs: JobStore;
  /**
   * Resolves once `WAIT_REPLICAS` replicas have all that the caller has written. `since`: when it
   * began to, by `performance.now()`; rejects if the connection was lost in between.
   */
  replicated: (since: number) => Promise<void>;
  /** What speaks for and against trusting it with signals. */
  inspect: () => Promise<SafetyFinding[]>;
  /** In bytes; `undefined` where that is not known. */
  memoryUse: () => Promise<MemoryUse | undefined>;
  /** Calls `listener` whenever the queue is reached: for the first time, and again after a loss. */
  onReached: (listener: () => void) => void;
  ping: () => Promise<void>;
  /** Why it is not reached, by the last error of the connection, without secrets. */
  lastError: () => string | undefined;
  close: () => Promise<void>;
};

export type BackendOptions = {
  prefix: string;
  dedupeWindowMs: number;
  keepDeliveredMs: number;
  logger: Logger;
};

/** What became of a signal, for the outbox that it came from. */
export type OutcomeEvent = {
  signalId: string;
  outcome: 'delivered' | 'skipped' | 'dead';
  /** In milliseconds. */
  at: number;
  /** Of the last request to SEEK. */
  requestId?: string | undefined;
  reason?: string | undefined;
};

export type StreamedOutcome = { id: string; settlement: OutcomeEvent };

/**
 * Settlements on their way to the outbox. They are no promise: a worker may die before it has told, and
 * who is never asked keeps a million of them. Whoever wants to be certain asks the queue.
 */
export type OutcomeStream = {
  /** Those that we have in hand, that nobody has, or that somebody has had for a minute: of each up to `limit`. */
  take: (limit: number) => Promise<StreamedOutcome[]>;
  /** They have been written down. */
  done: (ids: string[]) => Promise<void>;
};

/** What is to be told of a job that has come to its end; nothing where nobody has asked for it. */
export const outcomeEventFor = (data: unknown, report: Report): { report?: Report } =>
  isObject(data) && data.reportTo === 'outbox' ? { report } : {};

type Report = Omit<OutcomeEvent, 'signalId' | 'outcome'>;

/** Where what is known of applications lies: one text for each. */
export type TokenStore = {
  read: (applicationId: string) => Promise<string | undefined>;
  /** Writes, unless somebody else has written since `before` was read: then `false`. */
  replace: (
    applicationId: string,
    before: string | undefined,
    after: StoredTokens,
  ) => Promise<boolean>;
  /** Notes whose a token is. Resolves with who had it first, if that was another application. */
  takeOwnership: (
    fingerprint: string,
    applicationId: string,
    until: number,
  ) => Promise<string | undefined>;
  /**
   * Forgets whose these tokens were, where they were this application's. Resolves with those that are
   * another's.
   */
  releaseOwnership: (fingerprints: readonly string[], applicationId: string) => Promise<string[]>;
  /** All of which something is known. */
  applications: () => AsyncIterable<string>;
  /** The applications whose newest token was received in this span, oldest first. */
  receivedBetween: (from: number, to: number, limit: number) => Promise<string[]>;
  countReceivedBetween: (from: number, to: number) => Promise<number>;
};

export type StoredTokens = {
  text: string;
  /** When the newest token was received; absent where there is none. */
  receivedAt?: number;
  /** Until when it is kept; absent: as before. */
  until?: number;
  /** Tokens received before need no longer be listed by their age. */
  forgotten: number;
};
