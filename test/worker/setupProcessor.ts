import type { Job } from 'bullmq';

import type { JobDataStore } from '../../src/queue/backend.ts';
import { RETRY_OPTIONS } from '../../src/queue/bullWorker.ts';
import type { DeliveryResult } from '../../src/worker/delivery/bisectBatch.ts';
import { createProcessor } from '../../src/worker/processor.ts';
import type { Outcome } from '../../src/worker/seek/classify.ts';
import { buildSignalJob } from '../support/buildSignal.ts';
import { captureLogs } from '../support/captureLogs.ts';

export const ACCEPTED_AT = Date.parse('2026-03-01T12:00:00.000Z');
export const HOUR_MS = 3_600_000;
/** How long each attempt takes. */
export const DURATION_MS = 25;
/** When the attempt starts, unless `ageMs` says otherwise. */
export const STARTED_AT = new Date(ACCEPTED_AT + HOUR_MS).toISOString();
export const LOCK = 'lock-1';

export const attempted = (outcome: Outcome, more: object = {}): DeliveryResult => ({
  kind: 'attempted',
  outcome,
  requestId: 'request-1',
  ...more,
});
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

/** A BullMQ job with the members that the processor uses. */
export const buildJob = (change: object = {}) => {
  const requeuedWith: unknown[] = [];
  const delayedWith: unknown[] = [];
  const job = {
    id: 'signal-1',
    attemptsMade: 0,
    stalledCounter: 0,
    timestamp: ACCEPTED_AT,
    data: buildSignalJob(),
    opts: { ...RETRY_OPTIONS },
    moveToWait: async (lock: unknown) => {
      requeuedWith.push(lock);
    },
    moveToDelayed: async (...args: unknown[]) => {
      delayedWith.push(args);
    },
    ...change,
  };
  return { job: job as unknown as Job, requeuedWith, delayedWith };
};

/** Records what is written to jobs. */
const recordWrites = (doubles: Partial<JobDataStore> = {}) => {
  const updates: unknown[] = [];
  const updatesOf = new Map<Job, unknown[]>();
  const replaced: unknown[] = [];
  const jobData: JobDataStore = {
    write: async (job, lock, data) => {
      expect(lock).toBe(LOCK);
      updates.push(data);
      updatesOf.set(job, [...(updatesOf.get(job) ?? []), data]);
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

type Setup = {
  /** Replaces methods of the store, for one that fails. */
  jobData?: Partial<JobDataStore>;
  bookkeeping?: 'unavailable';
  /** How each delivery ends. */
  result?: DeliveryResult | Error | ((signal: { signalId: string }) => Promise<DeliveryResult>);
  job?: object;
  ageMs?: number;
};

export const setup = ({
  result = attempted({ kind: 'delivered' }),
  job = {},
  ageMs = HOUR_MS,
  ...doubles
}: Setup = {}) => {
  const clock = { now: ACCEPTED_AT + ageMs };
  const counted: unknown[] = [];
  const deferred: unknown[] = [];
  const deliveries: unknown[] = [];
  const records: unknown[] = [];
  const unsent: string[] = [];
  const isolations: boolean[] = [];
  const logs = captureLogs();
  const built = buildJob(job);
  const writes = recordWrites(doubles.jobData);
  const processor = createProcessor({
    deliverSignal: async (...args) => {
      deliveries.push(args);
      clock.now += DURATION_MS;
      if (result instanceof Error) throw result;
      return typeof result === 'function' ? result(args[0]) : result;
    },
    policy: { baseMs: 2_000, maxMs: 3 * HOUR_MS, maxAttempts: 25, maxAgeMs: 72 * HOUR_MS },
    jobData: writes.jobData,
    bookkeeping: {
      saveSkipRecord: async (record) => {
        if (doubles.bookkeeping === 'unavailable') throw new Error('unavailable');
        records.push(record);
      },
      markUnsent: async ({ signalId }) => {
        unsent.push(signalId);
      },
    },
    logger: logs.logger,
    metrics: {
      attempts: { inc: (labels) => counted.push(labels) },
      deferred: { inc: (labels) => deferred.push(labels) },
    },
    slots: {
      count: (_, work) => work(),
      isolate: (isolating) => isolations.push(isolating),
    },
    now: () => clock.now,
    random: () => 0.5,
  });
  const aborter = new AbortController();
  const abort = aborter.signal;

  return {
    ...built,
    ...writes,
    processor,
    counted,
    deferred,
    deliveries,
    records,
    unsent,
    isolations,
    logs,
    abort,
    aborter,
    process: () => processor(built.job, LOCK, abort),
    /** Resolves with what the processor throws. */
    fail: (job: Job = built.job) => processor(job, LOCK, abort).catch((err: unknown) => err),
  };
};
