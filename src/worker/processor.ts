import { type Job, UnrecoverableError, WaitingError } from 'bullmq';

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
import type { Attempted, DeliveryResult } from './delivery/bisectBatch.ts';
import { type DeliverSignal, TOKEN_KEY } from './delivery/deliverSignal.ts';
import { type Deferred, QUEUE } from './delivery/sendAuthorised.ts';
import { type AttemptDecision, ageMsOf, evaluateAttempt, type Policy } from './evaluateAttempt.ts';
import {
  crashRecordOf,
  createExclusiveLock,
  createRunExclusively,
  isSuspectedPoison,
} from './poisonSignals.ts';
import { readJob } from './readJob.ts';
import { createReleaseJob } from './releaseJob.ts';
import { expired } from './seek/classify.ts';

/** Thrown for BullMQ's sake alone: it carries the wait to the backoff strategy. */
export class RetryError extends Error {
  override readonly name = 'RetryError';
  readonly backoffMs: number;

  constructor(message: string, waitMs: number) {
    super(message);
    this.backoffMs = waitMs;
  }
}

type Deps = {
  dispatch: DeliverSignal;
  policy: Policy;
  jobData: JobDataStore;
  bookkeeping: Pick<Bookkeeping, 'saveSkipRecord' | 'markUnsent'>;
  logger: Logger;
  metrics: {
    attempts: { inc: (labels: { outcome: string; code: string }) => void };
    deferred: { inc: (labels: { code: string }) => void };
  };
  /** Where attempts are traced. */
  tracer?: Tracer | undefined;
  now?: () => number;
  random?: () => number;
};

/** The translator: takes a job, makes one attempt, and tells BullMQ what to do with the outcome. */
export const createProcessor = ({ now = Date.now, random = Math.random, ...deps }: Deps) => {
  const { dispatch, policy, jobData, bookkeeping, logger, metrics, tracer } = deps;
  // To look for secrets costs more than all else about a line, and in this one all is of our own making.
  const plain = logger.child({}, { redact: [] });
  const releaseJob = createReleaseJob({ jobData, bookkeeping, now });
  const exclusiveLock = createExclusiveLock();
  const runExclusively = createRunExclusively<Job>({ exclusiveLock, ...jobData });

  const noted = (job: Job, { attempts }: SignalJob, attempt: Attempt): Promise<boolean> => {
    const { reason = '' } = attempt;
    const life = { ...toSignalRecord(job, 'skipped'), attempts: [...attempts, attempt], reason };
    const { until } = dedupeRecordOf(life.signalId, job.data, job.timestamp);
    return bookkeeping.saveSkipRecord(life, until).then(
      () => true,
      () => false,
    );
  };

  // Declare all three, without defaults: BullMQ counts a processor's parameters and gives `abort` only
  // to one that has a third.
  return async (job: Job, lock: string | undefined, abort: AbortSignal | undefined) => {
    // What a job carries never decides how often it is tried.
    Object.assign(job.opts, RETRY_OPTIONS);
    const read = readJob(job.data);
    if (read.kind === 'newer' && now() - job.timestamp < policy.maxAgeMs) {
      logger.info({ signalId: job.id, version: read.version }, 'signal.leftForNewerVersion');
      throw await releaseJob.leaveForNewer(job, lock);
    }
    if (read.kind !== 'signal') throw new UnrecoverableError(read.failure);
    const guilt = crashRecordOf(job, read.signalJob);
    if (guilt !== undefined) throw new UnrecoverableError(guilt);

    const { isolatedCrashes, ...readable } = read.signalJob;
    const { signal, encryptedToken } = readable;
    const trace = tracer && createAttemptSpan(tracer, job, read.signalJob);
    const entry = { signalId: job.id ?? '', signal, encryptedToken, abort };
    let startedAt = now();
    const attempt = (batching: 'allowed' | 'never'): Promise<DeliveryResult> => {
      startedAt = now();
      const traced = trace === undefined ? entry : { ...entry, span: trace.start() };
      return dispatch(traced, batching).catch(faulted(entry.signalId, logger));
    };
    const delivery = isSuspectedPoison(job)
      ? await runExclusively({ job, lock, signalJob: read.signalJob, entry }, () =>
          attempt('never'),
        )
      : await exclusiveLock.together(() => attempt('allowed'));

    const signalJob = trace?.adopt(readable) ?? readable;
    const isOurs = abort?.reason !== LOCK_LOST;
    const write = async (data: SignalJob): Promise<void> => {
      // Another has it in hand by now, and writes down what becomes of it.
      if (!(await jobData.write(job, lock, data))) throw new WaitingError();
    };
    const judged = (attempted: Attempted): AttemptDecision => {
      const [number, endedAt] = [job.attemptsMade + 1, now()];
      return evaluateAttempt({ signalJob, attempted, number, startedAt, endedAt }, policy, random);
    };
    /** No attempt is spent, unless it has grown too old to be put off again. */
    const putOff = async (told: Omit<Deferred, 'kind'>) => {
      metrics.deferred.inc({ code: codeLabel(told.code) });
      // The others end by themselves; this one waits for somebody to look at the configuration.
      const level = told.code === TOKEN_KEY ? 'warn' : 'info';
      logger[level]({ ...nameOf(job, signalJob), ...told, ...trace?.ids() }, 'signal.deferred');
      trace?.end({ outcome: 'deferred', ...told });
      if (!isOurs) throw new WaitingError();
      const ageMs = ageMsOf(signalJob, startedAt);
      if (ageMs < policy.maxAgeMs) throw await releaseJob.defer(job, lock, signalJob, told);
      const { code, reason, ...made } = told;
      const outcome = expired({ code, reason }, ageMs);
      return settle(write, signalJob, judged({ kind: 'attempted', outcome, ...made }), now());
    };
    switch (delivery.kind) {
      case 'released':
        trace?.end({ outcome: 'released' });
        throw isOurs ? await releaseJob.handBack(job, lock) : new WaitingError();
      case 'deferred': {
        const { kind, ...told } = delivery;
        return putOff(told);
      }
      case 'attempted': {
        const made = judged(delivery);
        const isSkipped = made.attempt.outcome === 'skipped';
        // The record comes first: without it, its duplicates would be told that it was delivered.
        if (isSkipped && isOurs && !(await noted(job, signalJob, made.attempt))) {
          return putOff({ code: QUEUE, reason: 'It cannot be noted that it is skipped' });
        }
        report({ ...deps, plain, trace }, job, signalJob, made, delivery.errors);
        if (!isOurs) throw new WaitingError();
        return settle(write, signalJob, made, now());
      }
    }
  };
};

const nameOf = (job: Job, { signal }: SignalJob) => ({
  signalId: job.id,
  typeCode: signal.typeCode,
});

type Reporting = { plain: Logger; trace: AttemptSpan | undefined };

const report = (
  { logger, plain, metrics, policy, trace }: Deps & Reporting,
  job: Job,
  signalJob: SignalJob,
  { number, waitMs, attempt }: AttemptDecision,
  errors: unknown,
): void => {
  metrics.attempts.inc({ outcome: attempt.outcome, code: codeLabel(attempt.code) });
  const ids = trace?.ids();
  trace?.end(attempt);
  // In one literal, for there is one to each attempt; pino leaves out what is undefined.
  (errors === undefined ? plain : logger).info(
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
      tokenUsed: attempt.tokenUsed,
      backoffMs: waitMs === 0 ? undefined : waitMs,
      errors,
      traceId: ids?.traceId,
      spanId: ids?.spanId,
    },
    'signal.attempted',
  );
};

const settle = async (
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
      // The undertaker buries what fails, from here or from BullMQ itself: one path.
      throw new UnrecoverableError(failureText(attempt));
  }
};

/** Our own fault, not SEEK's: it counts as an attempt, so that a bug can't spin for ever. */
const faulted =
  (signalId: string, logger: Logger) =>
  (err: unknown): DeliveryResult => {
    const name = err instanceof Error ? err.name : 'unknown';
    // Name and place only: a message may repeat what it stumbled over.
    const at =
      err instanceof Error ? err.stack?.split('\n').filter((line) => /^ +at /.test(line)) : [];
    logger.error({ signalId, fault: name, at }, 'Attempt failed by a fault of ours');
    const outcome = {
      kind: 'retry',
      code: 'FAULT',
      reason: `fault of the worker: ${name}`,
    } as const;
    return { kind: 'attempted', outcome };
  };
