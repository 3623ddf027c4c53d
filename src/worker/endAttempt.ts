import { boundValue } from '../observability/boundValue.ts';
import type { Logger } from '../observability/logger.ts';
import { codeLabel } from '../observability/metrics.ts';
import type { Bookkeeping, JobDataStore } from '../queue/backend.ts';
import { dedupeRecordOf } from '../queue/dedupeWindow.ts';
import type { JobPool } from '../queue/jobPool.ts';
import type { TakenJob } from '../queue/jobSource.ts';
import { toSignalRecord } from '../queue/lookup.ts';
import {
  type Attempt,
  failureText,
  type JobResult,
  type SignalJob,
  withAttempt,
} from '../schemas/signalJob.ts';
import { type Attempted, type DeliveryResult, MAX_LOGGED_ERRORS } from './delivery/bisectBatch.ts';
import { TOKEN_KEY } from './delivery/deliverSet.ts';
import { type Deferred, QUEUE } from './delivery/sendAuthorised.ts';
import {
  type AttemptDecision,
  ageMsOf,
  evaluateAttempt,
  type RetryPolicy,
} from './evaluateAttempt.ts';
import type { InFlight } from './inFlight.ts';
import type { ReleaseJob } from './releaseJob.ts';
import { expired } from './seek/classify.ts';

/** An attempt that completes its job. */
export type CompletedAttempt = InFlight &
  Pick<AttemptDecision, 'number' | 'attempt'> & { result: JobResult };

type Deps = {
  pool: Pick<
    JobPool<CompletedAttempt>,
    'holds' | 'release' | 'complete' | 'retry' | 'fail' | 'requeue'
  >;
  policy: RetryPolicy;
  jobData: Pick<JobDataStore, 'write'>;
  bookkeeping: Pick<Bookkeeping, 'saveSkipRecord'>;
  releaseJob: Pick<ReleaseJob, 'defer'>;
  logger: Logger;
  metrics: {
    attempts: { inc: (labels: { outcome: string; code: string }) => void };
    deferred: { inc: (labels: { code: string }) => void };
  };
  now: () => number;
  random: () => number;
};

/** Ends the job of each attempt by its result: completes, retries, fails, defers or requeues it. */
export const createEndAttempt = ({ pool, policy, metrics, logger, now, random, ...deps }: Deps) => {
  const { jobData, bookkeeping, releaseJob } = deps;
  const logAttempt = createLogAttempt(logger, policy);

  const evaluate = (inFlight: InFlight, attempted: Attempted): AttemptDecision => {
    const { job, signalJob, startedAt } = inFlight;
    const number = job.attemptsMade + 1;
    return evaluateAttempt(
      { signalJob, attempted, number, startedAt, endedAt: now() },
      policy,
      random,
    );
  };

  /** `false`: another worker holds the job now, and ends it itself. */
  const write = async (job: TakenJob, data: SignalJob): Promise<boolean> => {
    // A failed write must not prevent the end. BullMQ counts the attempt and stores its reason too.
    const isOurs = await jobData.write(job, data).catch(() => true);
    if (!isOurs) pool.release(job);
    return isOurs;
  };

  const complete = (inFlight: InFlight, { number, attempt }: AttemptDecision): void => {
    const outcome = attempt.outcome === 'skipped' ? 'skipped' : 'delivered';
    const result = { outcome, attempt } as const;
    pool.complete(inFlight.job, result, { ...inFlight, number, attempt, result });
  };

  /** Saves the record before the job completes. Without it, a duplicate would be answered `delivered`. */
  const skip = async (inFlight: InFlight, decision: AttemptDecision): Promise<void> => {
    const { job, signalJob } = inFlight;
    const record = toSkipRecord(job, signalJob, decision.attempt);
    const { until } = dedupeRecordOf(job.id, job.data, job.timestamp);
    try {
      await bookkeeping.saveSkipRecord(record, until);
    } catch {
      const reason = 'Failed to store the record of the skipped signal';
      return defer(inFlight, { code: QUEUE, reason });
    }
    complete(inFlight, decision);
  };

  const end = async (inFlight: InFlight, { attempt, waitMs }: AttemptDecision): Promise<void> => {
    const { job, signalJob: stored, span } = inFlight;
    const { deferrals, lastDeferral, ...signalJob } = span?.addTraceContext(stored) ?? stored;
    const attempted = withAttempt(signalJob, attempt);
    if (attempt.outcome === 'dead') {
      // The sweeper moves every failed job to the dead letters.
      if (await write(job, attempted)) await pool.fail(job, failureText(attempt));
      return;
    }
    const nextAttemptAt = new Date(now() + waitMs).toISOString();
    if (await write(job, { ...attempted, nextAttemptAt })) {
      await pool.retry(job, failureText(attempt), waitMs);
    }
  };

  const endAttempted = (inFlight: InFlight, attempted: Attempted): void | Promise<void> => {
    const decision = evaluate(inFlight, attempted);
    const { attempt } = decision;
    inFlight.span?.end(attempt);
    if (attempt.outcome === 'delivered') return complete(inFlight, decision);
    if (attempt.outcome === 'skipped') return skip(inFlight, decision);
    metrics.attempts.inc({ outcome: attempt.outcome, code: codeLabel(attempt.code) });
    logAttempt(inFlight, decision, attempted.errors);
    return end(inFlight, decision);
  };

  /** Spends no attempt, except for a signal past its maximum age: that becomes a dead letter. */
  const defer = async (inFlight: InFlight, deferral: Omit<Deferred, 'kind'>): Promise<void> => {
    const { job, signalJob, span, startedAt } = inFlight;
    metrics.deferred.inc({ code: codeLabel(deferral.code) });
    // The other causes pass by themselves. A missing key stays until an operator configures it.
    const level = deferral.code === TOKEN_KEY ? 'warn' : 'info';
    const { typeCode } = signalJob.signal;
    const ids = span?.ids();
    logger[level]({ signalId: job.id, typeCode, ...deferral, ...ids }, 'signal.deferred');
    span?.end({ outcome: 'deferred', ...deferral });
    const ageMs = ageMsOf(signalJob, startedAt);
    if (ageMs < policy.maxAgeMs) {
      return releaseJob.defer(job, span?.addTraceContext(signalJob) ?? signalJob, deferral);
    }
    const { code, reason, ...request } = deferral;
    const outcome = expired({ code, reason }, ageMs);
    return end(inFlight, evaluate(inFlight, { kind: 'attempted', outcome, ...request }));
  };

  const endAttempt = (inFlight: InFlight, delivery: DeliveryResult): void | Promise<void> => {
    // Another worker ends the job now.
    if (!pool.holds(inFlight.job)) return inFlight.span?.end({ outcome: 'released' });
    switch (delivery.kind) {
      case 'released':
        inFlight.span?.end({ outcome: 'released' });
        return pool.requeue(inFlight.job);
      case 'deferred': {
        const { kind, ...deferral } = delivery;
        return defer(inFlight, deferral);
      }
      case 'attempted':
        return endAttempted(inFlight, delivery);
    }
  };

  return {
    endAttempt: async (inFlight: InFlight, delivery: DeliveryResult): Promise<void> => {
      try {
        await endAttempt(inFlight, delivery);
      } catch (err) {
        // A fault of ours. The job comes back when its lock expires.
        const fault = err instanceof Error ? err.name : 'unknown';
        logger.error({ signalId: inFlight.job.id, fault }, 'Failed to end an attempt');
        pool.release(inFlight.job);
      }
    },

    /** Counts and logs an attempt whose job has completed. */
    reportCompleted: ({ attempt, ...completed }: CompletedAttempt): void => {
      metrics.attempts.inc({ outcome: attempt.outcome, code: codeLabel(attempt.code) });
      logAttempt(completed, { attempt, number: completed.number, waitMs: 0 }, undefined);
    },
  };
};

const toSkipRecord = (job: TakenJob, { attempts }: SignalJob, attempt: Attempt) => ({
  ...toSignalRecord(job, 'skipped'),
  attempts: [...attempts, attempt],
  reason: attempt.reason ?? '',
});

const createLogAttempt = (logger: Logger, policy: RetryPolicy) => {
  // Redaction dominates the cost of a log line. Lines without SEEK's errors hold only our own fields, and
  // at most one value of SEEK that is redacted already.
  const unredactedLogger = logger.child({}, { redact: [] });

  return (
    { job, signalJob, span }: InFlight,
    { number, waitMs, attempt }: AttemptDecision,
    errors: unknown,
  ): void => {
    const ids = span?.ids();
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
};
