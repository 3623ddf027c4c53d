import { DelayedError, type Job, UnrecoverableError, WaitingError } from 'bullmq';

import type { Logger } from '../logging.ts';
import { codeLabel } from '../metrics.ts';
import { LOCK_LOST } from '../queue/backend.ts';
import { RETRY_OPTIONS } from '../queue/jobOptions.ts';
import {
  type Attempt,
  failureText,
  type Settlement,
  type SignalJob,
  STALLED,
  withAttempt,
} from '../schemas/signalJob.ts';
import { type BackoffPolicy, backoffMs } from './backoff.ts';
import { type Bounds, exhaust, givenUpForAge, type Outcome } from './classify.ts';
import type { DispatchSignal } from './dispatchSignal.ts';
import type { Entry } from './exchange.ts';
import type { Attempted, Dispatched } from './isolate.ts';
import { createOneAtATime } from './oneAtATime.ts';
import { readJob } from './readJob.ts';

// It goes to the end of the queue, so that another is the next to try; when that is, the lane says.
const DEFERRED_MS = 1_000;
const LEFT_FOR_NEWER_MS = 15_000;
// A worker that was lost with it twice may have died of it. From then on it is tried apart from all
// others, and when three more workers die at that, nothing else can be to blame.
const SUSPECT_AFTER = 2;
const GUILTY_AFTER = 3;

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
  metrics: {
    attempts: { inc: (labels: { outcome: string; code: string }) => void };
    deferred: { inc: (labels: { code: string }) => void };
  };
  now?: () => number;
  random?: () => number;
};

/** The translator: takes a job, makes one attempt, and tells BullMQ what to do with the outcome. */
export const createProcessor = ({ now = Date.now, random = Math.random, ...deps }: Deps) => {
  const { dispatch, policy, logger, metrics } = deps;
  const apart = createOneAtATime();

  /** Both keep the attempts as they are. What has lost its lock is another worker's to move. */
  const handBack = async (job: Job, lock: string | undefined, abort: AbortSignal | undefined) => {
    if (abort?.reason !== LOCK_LOST) await job.moveToWait(lock);
    return new WaitingError();
  };
  const putOff = async (job: Job, lock: string | undefined, waitMs: number) => {
    await job.moveToDelayed(now() + waitMs, lock);
    return new DelayedError();
  };

  const judge = (
    job: Job,
    signalJob: SignalJob,
    attempted: Attempted,
    startedAt: number,
  ): Judged => {
    const number = job.attemptsMade + 1;
    const life = { attempt: number, ageMs: startedAt - bornAt(signalJob) };
    const outcome = exhaust(attempted.outcome, life, policy);
    const waitMs =
      outcome.kind === 'retry'
        ? backoffMs({ ...policy, attempt: number, retryAfterMs: outcome.retryAfterMs, random })
        : 0;
    return { number, waitMs, attempt: toAttempt(outcome, attempted, startedAt, now()) };
  };

  const attempt = (entry: Entry, company: 'welcome' | 'none'): Promise<Dispatched> =>
    dispatch(entry, company).catch(faulted(entry.signalId, logger));

  /** Written down before, and struck out after: what stands there was the end of a worker. */
  const attemptApart = (
    job: Job,
    signalJob: SignalJob,
    entry: Entry,
    died: number,
  ): Promise<Dispatched> =>
    apart(async () => {
      if (entry.abort?.aborted) return { kind: 'handedBack' };
      await job.updateData({ ...signalJob, diedAlone: died + 1 });
      const dispatched = await attempt(entry, 'none');
      const ours = entry.abort?.reason !== LOCK_LOST;
      if (dispatched.kind !== 'attempted' && ours) await job.updateData(signalJob);
      return dispatched;
    });

  // Declare all three, without defaults: BullMQ counts a processor's parameters and gives `abort` only
  // to one that has a third.
  return async (job: Job, lock: string | undefined, abort: AbortSignal | undefined) => {
    // What a job carries never decides how often it is tried.
    Object.assign(job.opts, RETRY_OPTIONS);
    const read = readJob(job.data);
    if (read.kind === 'newer' && now() - job.timestamp < policy.maxAgeMs) {
      logger.info({ signalId: job.id, version: read.version }, 'signal.leftForNewerVersion');
      throw await putOff(job, lock, LEFT_FOR_NEWER_MS);
    }
    if (read.kind !== 'signal') throw new UnrecoverableError(read.failure);

    const { diedAlone = 0, ...signalJob } = read.signalJob;
    if (diedAlone >= GUILTY_AFTER) throw new UnrecoverableError(guilty(job.stalledCounter));
    const entry = { signalId: job.id ?? '', signal: signalJob.signal, abort };
    const startedAt = now();
    const dispatched =
      job.stalledCounter < SUSPECT_AFTER
        ? await attempt(entry, 'welcome')
        : await attemptApart(job, signalJob, entry, diedAlone);

    switch (dispatched.kind) {
      case 'handedBack':
        throw await handBack(job, lock, abort);
      case 'deferred': {
        const { code, reason } = dispatched;
        const ageMs = startedAt - bornAt(signalJob);
        metrics.deferred.inc({ code: codeLabel(code) });
        logger.info({ ...nameOf(job, signalJob), code, reason }, 'signal.deferred');
        if (ageMs < policy.maxAgeMs) throw await putOff(job, lock, DEFERRED_MS);
        const outcome = givenUpForAge({ code, reason }, ageMs);
        const judged = judge(job, signalJob, { kind: 'attempted', outcome }, startedAt);
        return settle(job, signalJob, judged, now());
      }
      case 'attempted': {
        const judged = judge(job, signalJob, dispatched, startedAt);
        report(deps, job, signalJob, judged, dispatched.errors);
        return settle(job, signalJob, judged, now());
      }
    }
  };
};

type Judged = { number: number; waitMs: number; attempt: Attempt };

const nameOf = (job: Job, { signal }: SignalJob) => ({
  signalId: job.id,
  typeCode: signal.typeCode,
});

/** Its age counts from here. */
const bornAt = ({ redrivenAt, acceptedAt }: SignalJob): number =>
  Date.parse(redrivenAt ?? acceptedAt);

const guilty = (deaths: number): string =>
  failureText({
    code: STALLED,
    reason: `${deaths} workers died while they had it in hand, the last ${GUILTY_AFTER} of them while it was tried alone`,
  });

const report = (
  { logger, metrics, policy }: Deps,
  job: Job,
  signalJob: SignalJob,
  { number, waitMs, attempt }: Judged,
  errors: unknown,
): void => {
  metrics.attempts.inc({ outcome: attempt.outcome, code: codeLabel(attempt.code) });
  logger.info(
    {
      ...nameOf(job, signalJob),
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

/** Our own fault, not SEEK's: it counts as an attempt, so that a bug can't spin for ever. */
const faulted =
  (signalId: string, logger: Logger) =>
  (err: unknown): Dispatched => {
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
