import type { Queue } from 'bullmq';
import type { Logger } from '../observability/logger.ts';
import { isObject } from '../schemas/json.ts';
import type { NewSignalJob } from '../schemas/signalJob.ts';
import type { SignalRecord } from '../schemas/signalRecord.ts';
import type { BreakerStore } from './breakerState.ts';
import type { DedupeRecord } from './dedupeWindow.ts';
import type { ExplainFailure } from './failure.ts';
import type { KeepCompleted } from './jobOptions.ts';
import type { JobSource, TakenJob } from './jobSource.ts';
import type { SearchIndex } from './searchIndex.ts';
import type { WorkerStats } from './workerStats.ts';

export const SIGNALS = 'signals';
export const DEAD_LETTERS = 'dead-letters';

export type QueueName = typeof SIGNALS | typeof DEAD_LETTERS;

/**
 * The port between the dispatcher and its queue. `queue/redis` implements it for production,
 * `queue/embedded` for development. A resolved promise means that the queue has acknowledged the write.
 * A rejected one leaves open whether the write happened. It may be repeated: no signal is lost or added
 * twice.
 */
export type Backend = {
  /** Resolves with the BullMQ queue of this name once it has been reached. */
  queue: (name: QueueName) => Promise<JobQueue>;
  /** The same queue with BullMQ's whole interface, for Bull Board only. */
  bullQueue: (name: QueueName) => Promise<Queue>;
  /** The jobs of a queue, for a worker. `keep`: which completed jobs are kept. Default: BullMQ's. */
  openJobs: (name: QueueName, keep?: KeepCompleted) => JobSource;
  /**
   * Adds each signal that has neither a job, nor a dead letter, nor a dedupe record. Atomic for each
   * signal: of concurrent callers with the same signal, exactly one adds it. The ids of one call must
   * differ. Resolves with one result per signal, in order.
   */
  enqueueIfAbsent: (jobs: NewJob[]) => Promise<EnqueueIfAbsentResult[]>;
  /**
   * Removes the jobs that `enqueueIfAbsent` added for these objects, because their caller is not told
   * that they were accepted. Leaves a job that a worker has taken, or that another caller has found.
   */
  takeBack: (jobs: NewJob[]) => Promise<void>;
  bookkeeping: Bookkeeping;
  index: SearchIndex;
  workerStats: WorkerStats;
  outcomeStream: OutcomeStream;
  clock: QueueClock;
  breaker: BreakerStore;
  tokens: TokenStore;
  positions: PositionStore;
  jobData: JobDataStore;
  jobs: JobStore;
  /**
   * Resolves once `WAIT_REPLICAS` replicas have all writes that were acknowledged before the call, and,
   * with Sentinels, once these still name the server of the writes as the master. `since`: the time of
   * `performance.now()` before the first of these writes. Rejects if too few replicas or Sentinels answer
   * in time, if a failover may be under way, or if the connection was lost after `since`.
   */
  waitForReplicas: (since: number) => Promise<void>;
  /**
   * Checks whether the queue is a safe place for signals, and lets this user do what `uses` and all
   * processes need. Rejects if it cannot be reached.
   */
  inspect: (uses?: readonly QueueUse[]) => Promise<SafetyFinding[]>;
  /** In bytes. `undefined` if the queue does not report it. */
  memoryUse: () => Promise<MemoryUse | undefined>;
  /** Calls `listener` after each connect; at once if the queue is connected already. */
  onConnected: (listener: () => void) => void;
  /** Rejects if the queue does not answer. */
  ping: () => Promise<void>;
  /** Rejects if the queue does not answer a read. */
  checkRead: () => Promise<void>;
  /** Rejects if the queue does not take a write. */
  checkWrite: () => Promise<void>;
  /** Explains why a call failed. Without an error, why it did not end in time. */
  explainFailure: ExplainFailure;
  /** Closes queues and connections. Close the workers first. */
  close: () => Promise<void>;
};

/** A worker whose clock differs from that of the queue by more takes no signals, and `check` reports an error. */
export const MAX_CLOCK_DIFFERENCE_MS = 60_000;

/**
 * The clock of the queue, in milliseconds. Processes on several machines stamp signals and judge their
 * ages by it, because the clock of one machine may be wrong by days.
 */
export type QueueClock = {
  /** Asks the queue if the last answer is old. Rejects if the queue does not answer. */
  read: () => Promise<number>;
  /** Asks nothing. The clock of this process until the queue has answered once. */
  estimate: () => number;
};

/** What only some processes do: take jobs, read the outcome stream, wait for replicas. */
export type QueueUse = 'work' | 'outcomes' | 'replicas';

export type BackendOptions = {
  prefix: string;
  dedupeWindowMs: number;
  keepDeliveredMs: number;
  logger: Logger;
};

/** The part of BullMQ's `Queue` that behaves the same in Redis and in the embedded queue. */
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

/** A signal to enqueue. `contentId` differs from `signalId` only under an Idempotency-Key. */
export type NewJob = { signalId: string; contentId: string; data: NewSignalJob };

export type EnqueueIfAbsentResult =
  | { kind: 'added' }
  /** `recordedContentId`: from the dedupe record, if there is one. `queued`: a job exists in `signals`. */
  | { kind: 'known'; recordedContentId?: string; queued: boolean };

/** A signal that SEEK does not have yet. `acceptedAt` in milliseconds. */
export type Unsent = { signalId: string; acceptedAt: number };

/** The final outcome of a signal. `report` goes to the outbox, if the signal came from there. */
export type SignalOutcome = Pick<OutcomeEvent, 'signalId' | 'outcome'> & { report?: OutcomeReport };

/**
 * What BullMQ does not store about signals: dedupe records, the unsent set, skip records and the
 * outcomes of the last day.
 */
export type Bookkeeping = {
  /** The content id in the dedupe record. A signal whose job still exists may have no record yet. */
  findDedupeRecord: (signalId: string) => Promise<string | undefined>;
  /**
   * Adds the signal to the unsent set. Called when a worker releases a job, because its queue position
   * no longer reflects its age.
   */
  markUnsent: (entry: Unsent) => Promise<void>;
  /**
   * Removes the signals from the unsent set, counts their outcomes and appends their reports to the
   * outcome stream. Deletes the skip records of delivered signals. A repeat counts them twice.
   */
  recordOutcomes: (entries: SignalOutcome[]) => Promise<void>;
  /** Removes signals from the unsent set without an outcome. */
  removeUnsent: (signalIds: string[]) => Promise<void>;
  /** The oldest unsent signals, oldest first. After a crash it may list signals that have ended. */
  oldestUnsent: (limit: number) => Promise<Unsent[]>;
  /** Counts of the last 24 hours, to the hour. */
  countRecentOutcomes: () => Promise<{ delivered: number; skipped: number }>;
  /**
   * Removes what is recorded of a completed or skipped signal, so that it can be enqueued again. With
   * `finishedAt`, removes its job too, which must have completed at that millisecond. Without it, the
   * signal must have a skip record and no job. Atomic. `false`: the signal has changed since, and
   * nothing was removed.
   */
  reopen: (signalId: string, finishedAt?: number) => Promise<boolean>;
  /** Stores the skip record of a signal until `until` (ms), at least for 30 seconds. */
  saveSkipRecord: (record: SignalRecord, until: number) => Promise<void>;
  findSkipRecord: (signalId: string) => Promise<SignalRecord | undefined>;
};

/**
 * Writes the data of a signal's job that a worker holds. BullMQ's `updateData` does not check the lock: a
 * worker that was frozen for longer than its lock would overwrite the data of the next worker.
 */
export type JobDataStore = {
  /** Writes while the worker holds the lock of the job. `false`: it no longer does, and nothing was written. */
  write: (job: TakenJob, data: unknown) => Promise<boolean>;
  /** Compare-and-set, whichever worker holds the job. `false`: the data is no longer `from`. */
  replace: (job: TakenJob, from: unknown, to: unknown) => Promise<boolean>;
};

/** `text` is the data of the job, as stored. */
export type StoredJob = { id: string; text: string };

/** Reads, changes and removes stored jobs in any state. */
export type JobStore = {
  /** Yields each job that exists for the whole scan, even if it changes its state meanwhile. */
  scan: (name: QueueName) => AsyncIterable<StoredJob>;
  /** Compare-and-set of the data. `false`: it is no longer `job.text`, or the job is gone. */
  replaceData: (name: QueueName, job: StoredJob, data: unknown) => Promise<boolean>;
  /**
   * Removes the job if it finished in this state at this millisecond, so that a newer job with the same
   * id stays. BullMQ's `remove` matches by id only. The skip record, if given, is written atomically
   * with the removal. `false`: nothing was removed.
   */
  removeFinished: (
    name: QueueName,
    state: FinishedState,
    job: FinishedJob,
    skip?: SkipRecord,
  ) => Promise<boolean>;
  /** Does the same for a job that waits for its first or its next attempt. */
  removeWaiting: (name: QueueName, jobId: string, skip?: SkipRecord) => Promise<boolean>;
  /** Counts the delayed jobs whose next attempt is due. */
  countDue: (name: QueueName) => Promise<number>;
};

/** The record of a signal that is skipped by the removal of its job, and its dedupe record. */
export type SkipRecord = { record: SignalRecord; dedupe: DedupeRecord };

export type FinishedState = 'completed' | 'failed';

/** `finishedAt` in milliseconds. */
export type FinishedJob = { jobId: string; finishedAt: number };

/** In bytes. `limit` 0: none is set. */
export type MemoryUse = { used: number; limit: number };

/** The result of one check of a deployment. */
export type SafetyFinding = {
  subject: string;
  level: 'ok' | 'warning' | 'error';
  message: string;
};

/** The final outcome of a signal, for the outbox that it came from. */
export type OutcomeEvent = {
  signalId: string;
  outcome: 'delivered' | 'skipped' | 'dead';
  /** In milliseconds. */
  at: number;
  /** The X-Request-Id of the last request to SEEK. */
  requestId?: string | undefined;
  reason?: string | undefined;
};

export type StreamedOutcome = { id: string; event: OutcomeEvent };

/**
 * Outcomes on their way to the outbox. Delivery is best effort: a worker may crash before it appends an
 * outcome, and only the newest million are kept. The relay asks the queue for outcomes it has missed.
 */
export type OutcomeStream = {
  /**
   * Returns our own pending entries, new entries, and entries another consumer has held for over a
   * minute; up to `limit` of each. An entry is returned again until it is acknowledged.
   */
  take: (limit: number) => Promise<StreamedOutcome[]>;
  /** Acknowledges entries: they are removed from the stream. */
  acknowledge: (ids: string[]) => Promise<void>;
};

type OutcomeReport = Omit<OutcomeEvent, 'signalId' | 'outcome'>;

/** The report for `recordOutcomes`; empty unless the job came from an outbox. */
export const outcomeEventFor = (
  data: unknown,
  report: OutcomeReport,
): { report?: OutcomeReport } => (isObject(data) && data.reportTo === 'outbox' ? { report } : {});

/** Stores one text for each application, and which application owns each seek token. Times in ms. */
export type TokenStore = {
  read: (applicationId: string) => Promise<string | undefined>;
  /** Compare-and-set. `false`: the text is no longer `before`, and nothing was written. */
  replace: (
    applicationId: string,
    before: string | undefined,
    after: StoredTokens,
  ) => Promise<boolean>;
  /**
   * Makes the application the owner of a token until `until`, unless another one owns it. Resolves with
   * the id of that other application, or `undefined`.
   */
  takeOwnership: (
    fingerprint: string,
    applicationId: string,
    until: number,
  ) => Promise<string | undefined>;
  /** Releases the tokens that the application owns. Resolves with those that another one owns. */
  releaseOwnership: (fingerprints: readonly string[], applicationId: string) => Promise<string[]>;
  /** Yields each application that has a text for the whole scan. */
  applications: () => AsyncIterable<string>;
  /** The applications whose newest token was received after `from`, up to `to`; oldest first. */
  receivedBetween: (from: number, to: number, limit: number) => Promise<string[]>;
  countReceivedBetween: (from: number, to: number) => Promise<number>;
};

/** Stores one text for each position. Entries do not expire: a position may stay open for years. */
export type PositionStore = {
  read: (positionId: string) => Promise<string | undefined>;
  /** Replaces an earlier text. */
  write: (positionId: string, text: string) => Promise<void>;
  /** Idempotent. */
  remove: (positionId: string) => Promise<void>;
};

export type StoredTokens = {
  text: string;
  /** When the newest token was received. Absent if there is none. */
  receivedAt?: number;
  /** When the text expires. Absent: the expiry stays as it is. */
  until?: number;
  /** `receivedBetween` no longer lists applications whose newest token is older than this. */
  unlistBefore: number;
};
