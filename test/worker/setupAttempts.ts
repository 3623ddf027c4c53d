import type { Tracer } from '../../src/observability/tracing.ts';
import type { JobDataStore } from '../../src/queue/backend.ts';
import type { JobSource, TakenJob } from '../../src/queue/jobSource.ts';
import { type Attempts, buildAttempts } from '../../src/worker/buildAttempts.ts';
import type { DeliveryResult } from '../../src/worker/delivery/bisectBatch.ts';
import type { DeliverSet } from '../../src/worker/delivery/deliverSet.ts';
import type { InFlight } from '../../src/worker/inFlight.ts';
import type { Outcome } from '../../src/worker/seek/classify.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { buildTakenJob, createMemoryJobSource } from '../support/memoryJobSource.ts';

export const ACCEPTED_AT = Date.parse('2026-03-01T12:00:00.000Z');
export const HOUR_MS = 3_600_000;
/** How long each attempt takes. */
export const DURATION_MS = 25;
/** When the attempt starts, unless `ageMs` says otherwise. */
export const STARTED_AT = new Date(ACCEPTED_AT + HOUR_MS).toISOString();

export const attempted = (outcome: Outcome, more: object = {}): DeliveryResult => ({
  kind: 'attempted',
  outcome,
  requestId: 'request-1',
  ...more,
});
export const DELIVERED = attempted({ kind: 'delivered' });
export const DEFERRED = {
  kind: 'deferred',
  code: 'RATE_LIMITED',
  reason: 'Slow down',
} satisfies DeliveryResult;
export const RELEASED = { kind: 'released' } satisfies DeliveryResult;
export const RETRY = { kind: 'retry', code: 'RATE_LIMITED', reason: 'Too many' } satisfies Outcome;
export const DEAD = {
  kind: 'dead',
  code: 'FORBIDDEN',
  reason: 'No relationship',
} satisfies Outcome;

/** What the worker writes to jobs, while it holds them. */
const recordWrites = (isActive: (job: TakenJob) => boolean, doubles: Partial<JobDataStore>) => {
  const updates: unknown[] = [];
  const replaced: unknown[] = [];
  const updatesOf = new Map<string, unknown[]>();
  const jobData: JobDataStore = {
    write: async (job, data) => {
      if (!isActive(job)) return false;
      updates.push(data);
      updatesOf.set(job.id, [...(updatesOf.get(job.id) ?? []), data]);
      job.data = data;
      return true;
    },
    replace: async (_, from, to) => {
      replaced.push([from, to]);
      return true;
    },
    ...doubles,
  };
  return { jobData, updates, updatesOf, replaced };
};

const createCounts = () => {
  const counted: unknown[] = [];
  const deferred: unknown[] = [];
  const metrics = {
    attempts: { inc: (labels: object) => void counted.push(labels) },
    deferred: { inc: (labels: object) => void deferred.push(labels) },
  };
  return { counted, deferred, metrics };
};

const createBookkeeping = (isAvailable: boolean) => {
  const records: unknown[] = [];
  const unsent: string[] = [];
  const bookkeeping = {
    saveSkipRecord: async (record: unknown) => {
      if (!isAvailable) throw new Error('unavailable');
      records.push(record);
    },
    markUnsent: async ({ signalId }: { signalId: string }) => {
      unsent.push(signalId);
    },
  };
  return { records, unsent, bookkeeping };
};

const NEVER = new AbortController().signal;

type Setup = {
  /** Replaces methods of the store, for one that fails. */
  jobData?: Partial<JobDataStore>;
  source?: Partial<JobSource>;
  bookkeeping?: 'unavailable';
  /** Replaces a counter, for one that throws. */
  metrics?: { attempts: { inc: () => void } };
  /** How each delivery ends. */
  result?: DeliveryResult | ((inFlight: InFlight) => DeliveryResult | Promise<DeliveryResult>);
  /** Replaces the delivery. Default: `result` of each signal. */
  deliver?: (attempts: Attempts) => DeliverSet;
  /** Fires when the worker stops. */
  abort?: AbortSignal;
  /** Absent: attempts are not traced. */
  tracer?: Tracer;
  /** Of the only job, unless `run` is given others. */
  job?: Partial<TakenJob>;
  ageMs?: number;
};

/** Takes jobs, makes an attempt for each, and ends them. All is real but the delivery, the queue and the clock. */
export const setup = ({
  result = DELIVERED,
  job: change = {},
  ageMs = HOUR_MS,
  ...doubles
}: Setup = {}) => {
  const clock = { now: ACCEPTED_AT + ageMs };
  const queue = createMemoryJobSource(doubles.source);
  const logs = captureLogs();
  const failed: unknown[] = [];
  const writes = recordWrites(queue.isActive, doubles.jobData ?? {});
  const counts = createCounts();
  const { bookkeeping, ...kept } = createBookkeeping(doubles.bookkeeping !== 'unavailable');
  const sets: string[][] = [];
  const sentAlone: string[] = [];
  const delivered: InFlight[] = [];
  const deliverOne = async (inFlight: InFlight): Promise<DeliveryResult> => {
    delivered.push(inFlight);
    clock.now += DURATION_MS;
    return typeof result === 'function' ? result(inFlight) : result;
  };
  const buildDeliver = (attempts: Attempts): DeliverSet =>
    doubles.deliver?.(attempts) ?? {
      deliverSet: async (set) => {
        sets.push(set.map(({ job }) => job.id));
        const results = set.map(async (inFlight) => {
          await attempts.endAttempt(inFlight, await deliverOne(inFlight));
        });
        await Promise.all(results);
      },
      deliverAlone: (inFlight) => {
        sentAlone.push(inFlight.job.id);
        return deliverOne(inFlight);
      },
    };
  const { pool, processJobs } = buildAttempts({
    source: queue.source,
    capacity: 50,
    jobData: writes.jobData,
    bookkeeping,
    policy: { baseMs: 2_000, maxMs: 3 * HOUR_MS, maxAttempts: 25, maxAgeMs: 72 * HOUR_MS },
    buildDeliver,
    onFailed: ({ id }) => void failed.push(id),
    onCompleted: () => {},
    abort: doubles.abort ?? NEVER,
    logger: logs.logger,
    metrics: { ...counts.metrics, ...doubles.metrics },
    tracer: doubles.tracer,
    now: () => clock.now,
    random: () => 0.5,
  });
  const job = buildTakenJob(change);

  return {
    ...queue,
    ...writes,
    ...counts,
    ...kept,
    job,
    pool,
    logs,
    /** The sets that were delivered together, by their ids. */
    sets,
    sentAlone,
    delivered,
    /** The ids of the failed jobs that the sweeper was called with. */
    failed,
    /** The lock could not be extended. */
    lose: (lost: TakenJob = job): void => {
      queue.loseLock(lost);
      pool.release(lost);
    },
    /** Takes the jobs in one set. Resolves when the worker holds none of them any more. */
    run: async (...jobs: TakenJob[]): Promise<void> => {
      queue.add(...(jobs.length === 0 ? [job] : jobs));
      await new Promise<void>((resolve) => {
        pool.start((taken) => {
          resolve();
          return processJobs(taken);
        });
      });
      await pool.close();
    },
  };
};
