import type { Logger } from '../observability/logger.ts';
import { type Backend, DEAD_LETTERS, SIGNALS } from '../queue/backend.ts';
import { signalJobOptions } from '../queue/jobOptions.ts';
import { createJobPool, type JobPool } from '../queue/jobPool.ts';
import type { TakenJob } from '../queue/jobSource.ts';
import { withTraceId } from '../queue/lookup.ts';
import { readDeadLetter } from '../queue/readDeadLetters.ts';
import { type DeadLetter, failureId, NewerDeadLetterSchema } from '../schemas/deadLetter.ts';
import { nameProblems } from '../schemas/invalidFields.ts';
import { failureText, SignalJobSchema, withRedrive } from '../schemas/signalJob.ts';
import { annotateDeadLetter } from './redrive.ts';
import { revalidate } from './revalidate.ts';

export const MAX_REDRIVES_IN_FLIGHT = 10;
const NEWER_VERSION_DELAY_MS = 15_000;
const RETRY_DELAY_MS = 1_000;

type Deps = {
  backend: Backend;
  logger: Logger;
  metrics: { redriven: { inc: () => void } };
  /** Called when a dead letter is gone. A newer failure of its signal may have waited for that. */
  onRedriven: () => void;
  now?: () => Date;
};

type Redrive =
  | { kind: 'redriven' }
  | { kind: 'failed'; reason: string }
  | { kind: 'delayed'; at: number };

/**
 * The worker on `dead-letters`. It fails a new dead letter with SEEK's answer as the reason, so that
 * Bull Board shows it as failed. It puts a dead letter that was retried since back into the queue.
 */
export const startRedriveWorker = ({ onRedriven, ...deps }: Deps): JobPool<undefined> => {
  const pool = createJobPool<undefined>({
    source: deps.backend.openJobs(DEAD_LETTERS),
    capacity: MAX_REDRIVES_IN_FLIGHT,
    logger: deps.logger,
    onCompleted: onRedriven,
  });
  const redrive = createRedrive(deps);

  const runJob = async (job: TakenJob): Promise<void> => {
    const result = await redrive(job).catch(toError);
    if (result instanceof Error) return pool.retry(job, result.message, RETRY_DELAY_MS);
    switch (result.kind) {
      case 'redriven':
        return pool.complete(job, null, undefined);
      case 'failed':
        return pool.fail(job, result.reason);
      case 'delayed':
        return pool.delay(job, result.at);
    }
  };
  pool.start(async (jobs) => {
    await Promise.all(jobs.map(runJob));
  });
  return pool;
};

/** Decides on one job of `dead-letters`. Rejects if the queue does not answer. */
export const createRedrive =
  ({
    backend,
    logger,
    metrics,
    now = () => new Date(backend.clock.estimate()),
  }: Omit<Deps, 'onRedriven'>) =>
  async (job: TakenJob): Promise<Redrive> => {
    const deadLetter = readDeadLetter(job);
    if (deadLetter === undefined) return leaveToNewerVersion(job, now());
    if (job.attemptsMade === 0 && !deadLetter.redriveRequested) {
      return { kind: 'failed', reason: failureText(deadLetter) };
    }
    // Bull Board's own Retry validates nothing before it.
    const invalidFields = revalidate(deadLetter, now());
    if (invalidFields !== undefined) {
      await annotateDeadLetter(backend, job, { redriveBy: undefined, redriveRequested: undefined });
      const reason = `${failureText(deadLetter)}; not sent again: ${nameProblems(invalidFields)}`;
      return { kind: 'failed', reason };
    }
    if (!(await requeue(backend, deadLetter, now()))) {
      return { kind: 'failed', reason: failureText(deadLetter) };
    }
    metrics.redriven.inc();
    logger.info(toLogFields(deadLetter), 'signal.redriven');
    return { kind: 'redriven' };
  };

const toError = (err: unknown): Error => (err instanceof Error ? err : new Error(String(err)));

const toLogFields = ({ signalId, typeCode, redrives, redriveBy, job }: DeadLetter) => ({
  signalId,
  typeCode,
  redrives: redrives + 1,
  by: redriveBy?.by,
  ...withTraceId(job),
});

/** Fails a dead letter of a newer version with its reason. Delays it if it was retried. */
const leaveToNewerVersion = ({ data, attemptsMade }: TakenJob, now: Date): Redrive => {
  const newer = NewerDeadLetterSchema.safeParse(data).data;
  if (newer === undefined) {
    const reason =
      'Expected a dead letter, found other data. Remove this job if another program added it.';
    return { kind: 'failed', reason };
  }
  if (attemptsMade === 0) return { kind: 'failed', reason: failureText(newer) };
  // Only a worker of the newer version can put this signal back into the queue.
  return { kind: 'delayed', at: now.getTime() + NEWER_VERSION_DELAY_MS };
};

/**
 * Puts the signal back into the queue under its own id. Resolves with `false` if a newer failure of the
 * same signal waits to be moved here: then this dead letter must stay and take that failure over.
 *
 * The signal is added before the dead letter is removed, so a crash in between loses nothing. A repeat
 * is safe: `redriveOf` in the queued job names the failure that it follows.
 */
const requeue = async (backend: Backend, deadLetter: DeadLetter, now: Date): Promise<boolean> => {
  const { signalId, failedJob } = deadLetter;
  const queue = await backend.queue(SIGNALS);
  // A sweeper that crashed between its two steps leaves the failed job, and `add` would ignore ours.
  await backend.jobs.removeFinished(SIGNALS, 'failed', failedJob);

  const acceptedAt = Date.parse(deadLetter.acceptedAt);
  await queue.add(
    deadLetter.typeCode,
    toRedrivenJob(deadLetter, now),
    signalJobOptions(signalId, acceptedAt),
  );
  await backend.bookkeeping.markUnsent({ signalId, acceptedAt });

  const queued = await queue.getJob(signalId);
  const redriveOf = SignalJobSchema.safeParse(queued?.data).data?.redriveOf;
  const isOurs = redriveOf === failureId(deadLetter);
  return queued === undefined || isOurs || (await queued.getState()) !== 'failed';
};

/** The job with one more redrive. A job that cannot be read goes back unchanged. */
const toRedrivenJob = (deadLetter: DeadLetter, now: Date): unknown => {
  const job = SignalJobSchema.safeParse(deadLetter.job).data;
  if (job === undefined) return deadLetter.job;
  const redrivenAt = now.toISOString();
  // The board's Retry of all dead letters records no name.
  const logged = withRedrive(job, deadLetter.redriveBy ?? { at: redrivenAt });
  const { nextAttemptAt, deferrals, lastDeferral, isolatedCrashes, ...rest } = logged;
  return {
    ...rest,
    attempts: deadLetter.attempts,
    redrives: deadLetter.redrives + 1,
    redrivenAt,
    redriveOf: failureId(deadLetter),
  };
};
