import { DelayedError, type Job, UnrecoverableError } from 'bullmq';

import type { Logger } from '../observability/logger.ts';
import { type Backend, DEAD_LETTERS, type JobWorker, SIGNALS } from '../queue/backend.ts';
import { signalJobOptions } from '../queue/bullWorker.ts';
import { withTraceId } from '../queue/lookup.ts';
import { readDeadLetter } from '../queue/readDeadLetters.ts';
import { type DeadLetter, failureId, NewerDeadLetterSchema } from '../schemas/deadLetter.ts';
import { nameProblems } from '../schemas/invalidFields.ts';
import { failureText, SignalJobSchema, withRedrive } from '../schemas/signalJob.ts';
import { annotateDeadLetter, revalidate } from './redrive.ts';

const CONCURRENCY = 10;
const LEFT_FOR_NEWER_MS = 15_000;

type Deps = {
  backend: Backend;
  logger: Logger;
  metrics: { redriven: { inc: () => void } };
  /** Called when a dead letter has gone: a newer burial of its signal may have waited for that. */
  onRedriven: () => void;
  now?: () => Date;
};

/**
 * The worker on `dead-letters`. It fails a new dead letter with SEEK's answer as the reason, so that it
 * shows as failed in Bull Board; a dead letter that was retried since goes back to the queue.
 */
export const startRedriveWorker = ({ onRedriven, ...deps }: Deps): Promise<JobWorker> =>
  deps.backend.work(DEAD_LETTERS, createRedriveProcessor(deps), {
    concurrency: CONCURRENCY,
    onCompleted: onRedriven,
  });

export const createRedriveProcessor =
  ({ backend, logger, metrics, now = () => new Date() }: Omit<Deps, 'onRedriven'>) =>
  async (job: Job, lock?: string): Promise<void> => {
    const deadLetter = readDeadLetter(job);
    if (deadLetter === undefined) {
      const reason = reasonOfNewer(job.data);
      if (reason === undefined) throw new UnrecoverableError('Not a dead letter of ours');
      if (job.attemptsMade === 0) throw new UnrecoverableError(reason);
      // Retried: only a worker of its own version knows how to put the signal back.
      await job.moveToDelayed(now().getTime() + LEFT_FOR_NEWER_MS, lock);
      throw new DelayedError();
    }
    if (job.attemptsMade === 0 && !deadLetter.redriveRequested) {
      throw new UnrecoverableError(failureText(deadLetter));
    }
    // Retry in the board asks nobody but us.
    const invalidFields = revalidate(deadLetter, now());
    if (invalidFields !== undefined) {
      await annotateDeadLetter(backend, job, { redriveBy: undefined, redriveRequested: undefined });
      throw new UnrecoverableError(
        `${failureText(deadLetter)}; not sent again: ${nameProblems(invalidFields)}`,
      );
    }

    if (!(await putBack(backend, deadLetter, now())))
      throw new UnrecoverableError(failureText(deadLetter));
    const { signalId, typeCode, redrives, redriveBy } = deadLetter;
    metrics.redriven.inc();
    logger.info(
      {
        signalId,
        typeCode,
        redrives: redrives + 1,
        by: redriveBy?.by,
        ...withTraceId(deadLetter.job),
      },
      'signal.redriven',
    );
  };

/** A dead letter that a newer version wrote shows its reason all the same. */
const reasonOfNewer = (data: unknown): string | undefined => {
  const newer = NewerDeadLetterSchema.safeParse(data).data;
  return newer && failureText(newer);
};

/**
 * Puts the signal back under its own id. Says `false` where a newer failure of the same signal still
 * waits for its burial: the dead letter has to stay, to take that up. Adds before the dead letter goes, and may
 * be repeated after a crash: the burial in `redriveOf` tells whose life the queue already holds.
 */
const putBack = async (backend: Backend, deadLetter: DeadLetter, now: Date): Promise<boolean> => {
  const { signalId, failedJob } = deadLetter;
  const queue = await backend.queue(SIGNALS);
  // The undertaker may have been killed between its two steps.
  await backend.jobs.removeFinished(SIGNALS, 'failed', failedJob);

  const acceptedAt = Date.parse(deadLetter.acceptedAt);
  await queue.add(
    deadLetter.typeCode,
    revive(deadLetter, now),
    signalJobOptions(signalId, acceptedAt),
  );
  await backend.bookkeeping.markUnsent({ signalId, acceptedAt });

  const held = await queue.getJob(signalId);
  const ours = SignalJobSchema.safeParse(held?.data).data?.redriveOf === failureId(deadLetter);
  return held === undefined || ours || (await held.getState()) !== 'failed';
};

/** The job as it was, one life further. What could not be read goes back untouched. */
const revive = (deadLetter: DeadLetter, now: Date): unknown => {
  const job = SignalJobSchema.safeParse(deadLetter.job).data;
  if (job === undefined) return deadLetter.job;
  const redrivenAt = now.toISOString();
  // Retried in the board, all at once: nobody has said who.
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
