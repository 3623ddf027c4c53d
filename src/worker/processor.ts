import { type Job, UnrecoverableError, WaitingError } from 'bullmq';

import { boundValue } from '../observability/boundValue.ts';
import type { Logger } from '../observability/logger.ts';
import { codeLabel } from '../observability/metrics.ts';
import type { Tracer } from '../observability/tracing.ts';
import { type Bookkeeping, type JobDataStore, LOCK_LOST } from '../queue/backend.ts';
import { RETRY_OPTIONS } from '../queue/bullWorker.ts';
import { dedupeRecordOf } from '../queue/dedupeWindow.ts';
import { toSignalRecord } from '../queue/lookup.ts';
import {
  type Attempt,
  failureText,
  type JobResult,
  type SignalJob,
  withAttempt,
} from '../schemas/signalJob.ts';
import { type AttemptSpan, createAttemptSpan } from './attemptSpan.ts';
import { type Attempted, type DeliveryResult, MAX_LOGGED_ERRORS } from './delivery/bisectBatch.ts';
import { type DeliverSignal, TOKEN_KEY } from './delivery/deliverSignal.ts';
import { type Deferred, QUEUE } from './delivery/sendAuthorised.ts';
import {
  type AttemptDecision,
  ageMsOf,
  evaluateAttempt,
  type RetryPolicy,
} from './evaluateAttempt.ts';
import {
  createIsolation,
  createRunAlone,
  isSuspectedPoison,
  poisonFailureOf,
} from './poisonSignals.ts';
import { readJob } from './readJob.ts';
import { createReleaseJob } from './releaseJob.ts';
import { expired } from './seek/classify.ts';
import type { Slots } from './slots.ts';

/** Thrown to make BullMQ retry the job. It carries the wait to the backoff strategy. */
export class RetryError extends Error {
  override readonly name = 'RetryError';
  readonly backoffMs: number;

  constructor(message: string, waitMs: number) {
    super(message);
    this.backoffMs = waitMs;
  }
}

type Deps = {
  deliverSignal: DeliverSignal;
  policy: RetryPolicy;
  jobData: JobDataStore;
  bookkeeping: Pick<Bookkeeping, 'saveSkipRecord' | 'markUnsent'>;
  logger: Logger;
  metrics: {
    attempts: { inc: (labels: { outcome: string; code: string }) => void };
    deferred: { inc: (labels: { code: string }) => void };
  };
  /** Absent: attempts are not traced. */
  tracer?: Tracer | undefined;
  slots: Pick<Slots, 'count' | 'isolate'>;
  now?: () => number;
  random?: () => number;
};

/** The function that BullMQ calls for each job: it makes one attempt and reports the outcome. */
export const createProcessor = ({ now = Date.now, random = Math.random, ...deps }: Deps) => {
  const { deliverSignal, policy, jobData, bookkeeping, logger, metrics, tracer, slots } = deps;
  // Redaction dominates the cost of a log line. Lines without SEEK's errors hold only our own fields, and
  // at most one value of SEEK that is redacted already.
  const unredactedLogger = logger.child({}, { redact: [] });
  const releaseJob = createReleaseJob({ jobData, bookkeeping, now });
  const isolation = createIsolation({ onChange: slots.isolate });
  const runAlone = createRunAlone<Job>({ isolation, ...jobData });

  const saveSkipRecord = (
    job: Job,
    { attempts }: SignalJob,
    attempt: Attempt,
  ): Promise<boolean> => {
    const { reason = '' } = attempt;
    const record = { ...toSignalRecord(job, 'skipped'), attempts: [...attempts, attempt], reason };
    const { until } = dedupeRecordOf(record.signalId, job.data, job.timestamp);
    return bookkeeping.saveSkipRecord(record, until).then(
      () => true,
      () => false,
    );
  };

  const processJob = async (
    job: Job,
    lock: string | undefined,
    abort: AbortSignal | undefined,
  ): Promise<JobResult> => {
    // This worker's configuration decides how often a job is tried, not the options stored with it.
    Object.assign(job.opts, RETRY_OPTIONS);
    const read = readJob(job.data);
    if (read.kind === 'newer' && now() - job.timestamp < policy.maxAgeMs) {
      logger.info({ signalId: job.id, version: read.version }, 'signal.leftForNewerVersion');
      throw await releaseJob.leaveForNewerVersion(job, lock);
    }
    if (read.kind !== 'signal') throw new UnrecoverableError(read.failure);
    const poisonFailure = poisonFailureOf(job, read.signalJob);
    if (poisonFailure !== undefined) throw new UnrecoverableError(poisonFailure);

    const { isolatedCrashes, ...stored } = read.signalJob;
    const { signal, encryptedToken, acceptedAt } = stored;
    const span = tracer && createAttemptSpan(tracer, job, read.signalJob);
    const inFlight = { signalId: job.id ?? '', signal, encryptedToken, acceptedAt, abort };
    let startedAt = now();
    const attempt = (batching: 'allowed' | 'never'): Promise<DeliveryResult> => {
      startedAt = now();
      const traced = span === undefined ? inFlight : { ...inFlight, span: span.start() };
      return deliverSignal(traced, batching).catch(toFaultRetry(inFlight.signalId, logger));
    };
    const delivery = isSuspectedPoison(job)
      ? await runAlone({ job, lock, signalJob: read.signalJob, abort }, () => attempt('never'))
      : ((await isolation.shared(() => attempt('allowed'))) ?? RELEASED);

    const signalJob = span?.addTraceContext(stored) ?? stored;
    const isOurs = abort?.reason !== LOCK_LOST;
    const write = async (data: SignalJob): Promise<void> => {
      // `false`: another worker holds the job now, and records the outcome itself.
      if (!(await jobData.write(job, lock, data))) throw new WaitingError();
    };
    const evaluate = (attempted: Attempted): AttemptDecision => {
      const number = job.attemptsMade + 1;
      const finished = { signalJob, attempted, number, startedAt, endedAt: now() };
      return evaluateAttempt(finished, policy, random);
    };
    /** Spends no attempt, except for a signal past its maximum age: that becomes a dead letter. */
    const defer = async (deferral: Omit<Deferred, 'kind'>) => {
      metrics.deferred.inc({ code: codeLabel(deferral.code) });
      // The other causes pass by themselves. A missing key stays until an operator configures it.
      const level = deferral.code === TOKEN_KEY ? 'warn' : 'info';
      const { typeCode } = signal;
      const ids = span?.ids();
      logger[level]({ signalId: job.id, typeCode, ...deferral, ...ids }, 'signal.deferred');
      span?.end({ outcome: 'deferred', ...deferral });
      if (!isOurs) throw new WaitingError();
      const ageMs = ageMsOf(signalJob, startedAt);
      if (ageMs < policy.maxAgeMs) throw await releaseJob.defer(job, lock, signalJob, deferral);
      const { code, reason, ...request } = deferral;
      const outcome = expired({ code, reason }, ageMs);
      return complete(
        write,
        signalJob,
        evaluate({ kind: 'attempted', outcome, ...request }),
        now(),
      );
    };
    switch (delivery.kind) {
      case 'released':
        span?.end({ outcome: 'released' });
        throw isOurs ? await releaseJob.requeue(job, lock) : new WaitingError();
      case 'deferred': {
        const { kind, ...deferral } = delivery;
        return defer(deferral);
      }
      case 'attempted': {
        const decision = evaluate(delivery);
        const isSkipped = decision.attempt.outcome === 'skipped';
        // Save the record before the job completes. Without it, a duplicate would be answered with
        // the state `delivered`.
        if (isSkipped && isOurs && !(await saveSkipRecord(job, signalJob, decision.attempt))) {
          return defer({ code: QUEUE, reason: 'Failed to store the record of the skipped signal' });
        }
        report({ ...deps, unredactedLogger, span }, job, signalJob, decision, delivery.errors);
        if (!isOurs) throw new WaitingError();
        return complete(write, signalJob, decision, now());
      }
    }
  };

  // Declare all three parameters, without defaults: BullMQ counts them and passes `abort` only to a
  // processor that has a third.
  return (job: Job, lock: string | undefined, abort: AbortSignal | undefined) =>
    slots.count(job, () => processJob(job, lock, abort));
};

/** Another signal runs alone in this worker. */
const RELEASED: DeliveryResult = { kind: 'released' };

type ReportDeps = { unredactedLogger: Logger; span: AttemptSpan | undefined };

const report = (
  { logger, unredactedLogger, metrics, policy, span }: Deps & ReportDeps,
  job: Job,
  signalJob: SignalJob,
  { number, waitMs, attempt }: AttemptDecision,
  errors: unknown,
): void => {
  metrics.attempts.inc({ outcome: attempt.outcome, code: codeLabel(attempt.code) });
  const ids = span?.ids();
  span?.end(attempt);
  // One literal instead of conditional spreads, because every attempt runs this. pino omits
  // undefined fields.
  (errors === undefined ? unredactedLogger : logger).info(
    {
      signalId: job.id,
      typeCode: signalJob.signal.typeCode,
      attempt: number,
      maxAttempts: policy.maxAttempts,
      at: attempt.at,
      requestId: attempt.requestId,
      outcome: attempt.outcome,
      code: attempt.code,
      reason: attempt.reason,
      durationMs: attempt.durationMs,
      seekAnswer: attempt.seekAnswer,
      tokenUsed: attempt.tokenUsed,
      backoffMs: waitMs === 0 ? undefined : waitMs,
      errors: errors === undefined ? undefined : boundValue(errors, MAX_LOGGED_ERRORS),
      traceId: ids?.traceId,
      spanId: ids?.spanId,
    },
    'signal.attempted',
  );
};

/** Ends the job as BullMQ expects it: returns a result, or throws to retry or to fail. */
const complete = async (
  write: (data: SignalJob) => Promise<void>,
  { deferrals, lastDeferral, ...signalJob }: SignalJob,
  { attempt, waitMs }: AttemptDecision,
  now: number,
): Promise<JobResult> => {
  switch (attempt.outcome) {
    case 'delivered':
    case 'skipped':
      return { outcome: attempt.outcome, attempt };
    case 'retry': {
      const nextAttemptAt = new Date(now + waitMs).toISOString();
      await write({ ...withAttempt(signalJob, attempt), nextAttemptAt });
      throw new RetryError(failureText(attempt), waitMs);
    }
    case 'dead':
      await write(withAttempt(signalJob, attempt));
      // The sweeper moves every failed job to the dead letters, also those that BullMQ fails itself.
      throw new UnrecoverableError(failureText(attempt));
  }
};

/** An internal error spends an attempt, so that a bug cannot retry the signal forever. */
const toFaultRetry =
  (signalId: string, logger: Logger) =>
  (err: unknown): DeliveryResult => {
    const name = err instanceof Error ? err.name : 'unknown';
    // Log the name and the stack frames only: the message can repeat a token.
    const at =
      err instanceof Error ? err.stack?.split('\n').filter((line) => /^ +at /.test(line)) : [];
    logger.error({ signalId, fault: name, at }, 'Attempt failed: internal error');
    return {
      kind: 'attempted',
      outcome: { kind: 'retry', code: 'FAULT', reason: `internal error: ${name}` },
    };
  };
