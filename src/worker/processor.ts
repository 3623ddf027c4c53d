import { type Job, UnrecoverableError, WaitingError } from 'bullmq';

import type { Logger } from '../logging.ts';
import { codeLabel } from '../metrics.ts';
import { RETRY_OPTIONS } from '../queue/jobOptions.ts';
import { toInvalidFields } from '../schemas/invalidFields.ts';
import {
  type Attempt,
  failureText,
  type Settlement,
  type SignalJob,
  SignalJobSchema,
  UNREADABLE,
  withAttempt,
} from '../schemas/signalJob.ts';
import { type BackoffPolicy, backoffMs } from './backoff.ts';
import { type Bounds, exhaust, type Outcome } from './classify.ts';
import type { Attempted, Dispatched, DispatchSignal } from './dispatchSignal.ts';

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
  dispatch: DispatchSignal;
  policy: BackoffPolicy & Bounds;
  logger: Logger;
  metrics: { attempts: { inc: (labels: { outcome: string; code: string }) => void } };
  now?: () => number;
  random?: () => number;
};

/** The translator: takes a job, makes one attempt, and tells BullMQ what to do with the outcome. */
export const createProcessor = ({ now = Date.now, random = Math.random, ...deps }: Deps) => {
  const { dispatch, policy, logger } = deps;

  const judge = (job: Job, signalJob: SignalJob, attempted: Attempted, startedAt: number) => {
    const number = job.attemptsMade + 1;
    const ageMs = startedAt - Date.parse(signalJob.redrivenAt ?? signalJob.acceptedAt);
    const outcome = exhaust(attempted.outcome, { attempt: number, ageMs }, policy);
    const waitMs =
      outcome.kind === 'retry'
        ? backoffMs({ ...policy, attempt: number, retryAfterMs: outcome.retryAfterMs, random })
        : 0;
    return { number, waitMs, attempt: toAttempt(outcome, attempted, startedAt, now()) };
  };

  // Declare all three, without defaults: BullMQ counts a processor's parameters and gives `abort`
  // only to one that has a third.
  return async (job: Job, lock: string | undefined, abort: AbortSignal | undefined) => {
    // What a job carries never decides how often it is tried.
    Object.assign(job.opts, RETRY_OPTIONS);
    const signalJob = readJob(job);
    const startedAt = now();
    const dispatched = await dispatch(signalJob.signal, abort).catch(faulted(job, logger));

    if (dispatched.kind === 'handedBack') {
      await job.moveToWait(lock);
      throw new WaitingError();
    }
    const judged = judge(job, signalJob, dispatched, startedAt);
    report(deps, job, signalJob, judged, dispatched.errors);
    return settle(job, signalJob, judged, now());
  };
};

type Judged = { number: number; waitMs: number; attempt: Attempt };

const report = (
  { logger, metrics, policy }: Deps,
  job: Job,
  { signal }: SignalJob,
  { number, waitMs, attempt }: Judged,
  errors: unknown,
): void => {
  metrics.attempts.inc({ outcome: attempt.outcome, code: codeLabel(attempt.code) });
  logger.info(
    {
      ...{ signalId: job.id, typeCode: signal.typeCode },
      ...{ attempt: number, maxAttempts: policy.maxAttempts },
      ...attempt,
      ...(waitMs === 0 ? {} : { backoffMs: waitMs }),
      ...(errors === undefined ? {} : { errors }),
    },
    'signal.attempted',
  );
};

const settle = async (
  job: Job,
  signalJob: SignalJob,
  { attempt, waitMs }: Judged,
  now: number,
): Promise<Settlement> => {
  switch (attempt.outcome) {
    case 'delivered':
    case 'skipped':
      return { outcome: attempt.outcome, attempt };
    case 'retry': {
      const nextAttemptAt = new Date(now + waitMs).toISOString();
      await job.updateData({ ...withAttempt(signalJob, attempt), nextAttemptAt });
      throw new RetryError(failureText(attempt), waitMs);
    }
    case 'dead':
      await job.updateData(withAttempt(signalJob, attempt));
      // The undertaker buries what fails, from here or from BullMQ itself: one path.
      throw new UnrecoverableError(failureText(attempt));
  }
};

const readJob = (job: Job): SignalJob => {
  const parsed = SignalJobSchema.safeParse(job.data, { reportInput: true });
  if (parsed.success) return parsed.data;
  const problems = Object.entries(toInvalidFields(parsed.error)).map(
    ([pointer, message]) => `${pointer || '/'}: ${message}`,
  );
  throw new UnrecoverableError(`${UNREADABLE}: ${problems.join('; ')}`);
};

/** Our own fault, not SEEK's: it counts as an attempt, so that a bug can't spin for ever. */
const faulted =
  (job: Job, logger: Logger) =>
  (err: unknown): Dispatched => {
    const name = err instanceof Error ? err.name : 'unknown';
    // Name and place only: a message may repeat what it stumbled over.
    const at =
      err instanceof Error ? err.stack?.split('\n').filter((line) => /^ +at /.test(line)) : [];
    logger.error({ signalId: job.id, fault: name, at }, 'Attempt failed by a fault of ours');
    const outcome = {
      kind: 'retry',
      code: 'FAULT',
      reason: `fault of the worker: ${name}`,
    } as const;
    return { kind: 'attempted', outcome };
  };

const toAttempt = (
  outcome: Outcome,
  { requestId }: Attempted,
  startedAt: number,
  endedAt: number,
): Attempt => ({
  at: new Date(startedAt).toISOString(),
  ...(requestId === undefined ? {} : { requestId }),
  outcome: outcome.kind,
  ...('code' in outcome ? { code: outcome.code } : {}),
  ...('reason' in outcome ? { reason: outcome.reason } : {}),
  durationMs: Math.max(0, endedAt - startedAt),
});
