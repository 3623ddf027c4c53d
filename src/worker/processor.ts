import { DelayedError, type Job, UnrecoverableError, WaitingError } from 'bullmq';

import type { Logger } from '../logging.ts';
import { codeLabel } from '../metrics.ts';
import { LOCK_LOST } from '../queue/backend.ts';
import type { JobData } from '../queue/jobData.ts';
import { RETRY_OPTIONS } from '../queue/jobOptions.ts';
import {
  type Attempt,
  failureText,
  type Settlement,
  type SignalJob,
  withAttempt,
} from '../schemas/signalJob.ts';
import { type BackoffPolicy, backoffMs } from './backoff.ts';
import { type Bounds, exhaust, givenUpForAge, type Outcome } from './classify.ts';
import type { DispatchSignal } from './dispatchSignal.ts';
import type { Entry } from './exchange.ts';
import type { Attempted, Dispatched } from './isolate.ts';
import { readJob } from './readJob.ts';
import { createRoom } from './room.ts';
import { createTryApart, guiltOf, isSuspect } from './suspects.ts';

// It goes to the end of the queue, so that another is the next to try; when that is, the lane says. One
// that is put off again and again waits for longer, or it would be tried for days.
const DEFERRED_MS = 1_000;
const DEFERRED_MAX_MS = 60_000;
const LEFT_FOR_NEWER_MS = 15_000;

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
  jobData: JobData;
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
  const { dispatch, policy, jobData, logger, metrics } = deps;
  const room = createRoom();
  const tryApart = createTryApart<Job>({ room, ...jobData });

  // Both keep the attempts as they are, and so does BullMQ with what is thrown. A job that can't be moved
  // comes back by itself when its lock has run out.
  const handBack = async (job: Job, lock: string | undefined) => {
    await job.moveToWait(lock).catch(() => {});
    return new WaitingError();
  };
  const putOff = async (job: Job, lock: string | undefined, waitMs: number) => {
    await job.moveToDelayed(now() + waitMs, lock).catch(() => {});
    return new DelayedError();
  };

  const defer = async (job: Job, lock: string | undefined, signalJob: SignalJob) => {
    const { deferrals = 0 } = signalJob;
    const waitMs = Math.min(DEFERRED_MS * 2 ** deferrals, DEFERRED_MAX_MS);
    const nextAttemptAt = new Date(now() + waitMs).toISOString();
    const deferred = { ...signalJob, deferrals: deferrals + 1, nextAttemptAt };
    // For people only: it must not keep the signal from being moved, as a full Redis would.
    const isOurs = await jobData.write(job, lock, deferred).catch(() => true);
    if (!isOurs) return new WaitingError();
    return putOff(job, lock, waitMs);
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
    const guilt = guiltOf(job, read.signalJob);
    if (guilt !== undefined) throw new UnrecoverableError(guilt);

    const { diedAlone, ...signalJob } = read.signalJob;
    const entry: Entry = { signalId: job.id ?? '', signal: signalJob.signal, abort };
    let startedAt = now();
    const attempt = (company: 'welcome' | 'none'): Promise<Dispatched> => {
      startedAt = now();
      return dispatch(entry, company).catch(faulted(entry.signalId, logger));
    };
    const dispatched = isSuspect(job)
      ? await tryApart({ job, lock, signalJob: read.signalJob, entry }, () => attempt('none'))
      : await room.together(() => attempt('welcome'));

    const isOurs = abort?.reason !== LOCK_LOST;
    const write = async (data: SignalJob): Promise<void> => {
      // Another has it in hand by now, and writes down what becomes of it.
      if (!(await jobData.write(job, lock, data))) throw new WaitingError();
    };
    switch (dispatched.kind) {
      case 'handedBack':
        throw isOurs ? await handBack(job, lock) : new WaitingError();
      case 'deferred': {
        const { code, reason, requestId } = dispatched;
        const ageMs = startedAt - bornAt(signalJob);
        metrics.deferred.inc({ code: codeLabel(code) });
        logger.info({ ...nameOf(job, signalJob), code, reason }, 'signal.deferred');
        if (!isOurs) throw new WaitingError();
        if (ageMs < policy.maxAgeMs) throw await defer(job, lock, signalJob);
        const outcome = givenUpForAge({ code, reason }, ageMs);
        const made = requestId === undefined ? {} : { requestId };
        const judged = judge(job, signalJob, { kind: 'attempted', outcome, ...made }, startedAt);
        return settle(write, signalJob, judged, now());
      }
      case 'attempted': {
        const judged = judge(job, signalJob, dispatched, startedAt);
        report(deps, job, signalJob, judged, dispatched.errors);
        if (!isOurs) throw new WaitingError();
        return settle(write, signalJob, judged, now());
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
  write: (data: SignalJob) => Promise<void>,
  { deferrals, ...signalJob }: SignalJob,
  { attempt, waitMs }: Judged,
  now: number,
): Promise<Settlement> => {
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
