import { DelayedError, type Job, UnrecoverableError } from 'bullmq';

import type { Logger } from '../observability/logger.ts';
import { type Backend, DEAD_LETTERS, type JobWorker, SIGNALS } from '../queue/backend.ts';
import { signalJobOptions } from '../queue/bullWorker.ts';
import { traced } from '../queue/lookup.ts';
import { readLetter } from '../queue/readDeadLetters.ts';
import { burialId, type DeadLetter, NewerLetterSchema } from '../schemas/deadLetter.ts';
import { nameProblems } from '../schemas/invalidFields.ts';
import { failureText, SignalJobSchema, withRedrive } from '../schemas/signalJob.ts';
import { noteInLetter, recheckLetter } from './redrive.ts';

const CONCURRENCY = 10;
const LEFT_FOR_NEWER_MS = 15_000;

type Deps = {
  backend: Backend;
  logger: Logger;
  metrics: { redriven: { inc: () => void } };
  /** Called when a letter has gone: a newer burial of its signal may have waited for that. */
  onRedriven: () => void;
  now?: () => Date;
};

/**
 * The worker on `dead-letters`. It fails a new letter with SEEK's answer as the reason, so that it
 * shows as failed in Bull Board; a letter that was retried since goes back to the queue.
 */
export const startLetterWorker = ({ onRedriven, ...deps }: Deps): Promise<JobWorker> =>
  deps.backend.work(DEAD_LETTERS, createLetterProcessor(deps), {
    concurrency: CONCURRENCY,
    onCompleted: onRedriven,
  });

export const createLetterProcessor =
  ({ backend, logger, metrics, now = () => new Date() }: Omit<Deps, 'onRedriven'>) =>
  async (job: Job, lock?: string): Promise<void> => {
    const letter = readLetter(job);
    if (letter === undefined) {
      const reason = reasonOfNewer(job.data);
      if (reason === undefined) throw new UnrecoverableError('Not a dead letter of ours');
      if (job.attemptsMade === 0) throw new UnrecoverableError(reason);
      // Retried: only a worker of its own version knows how to put the signal back.
      await job.moveToDelayed(now().getTime() + LEFT_FOR_NEWER_MS, lock);
      throw new DelayedError();
    }
    if (job.attemptsMade === 0 && !letter.redriveRequested) {
      throw new UnrecoverableError(failureText(letter));
    }
    // Retry in the board asks nobody but us.
    const invalidFields = recheckLetter(letter, now());
    if (invalidFields !== undefined) {
      await noteInLetter(backend, job, { redriveBy: undefined, redriveRequested: undefined });
      throw new UnrecoverableError(
        `${failureText(letter)}; not sent again: ${nameProblems(invalidFields)}`,
      );
    }

    if (!(await putBack(backend, letter, now()))) throw new UnrecoverableError(failureText(letter));
    const { signalId, typeCode, redrives, redriveBy } = letter;
    metrics.redriven.inc();
    logger.info(
      { signalId, typeCode, redrives: redrives + 1, by: redriveBy?.by, ...traced(letter.job) },
      'signal.redriven',
    );
  };

/** A letter that a newer version wrote shows its reason all the same. */
const reasonOfNewer = (data: unknown): string | undefined => {
  const newer = NewerLetterSchema.safeParse(data).data;
  return newer && failureText(newer);
};

/**
 * Puts the signal back under its own id. Says `false` where a newer failure of the same signal still
 * waits for its burial: the letter has to stay, to take that up. Adds before the letter goes, and may
 * be repeated after a crash: the burial in `redriveOf` tells whose life the queue already holds.
 */
const putBack = async (backend: Backend, letter: DeadLetter, now: Date): Promise<boolean> => {
  const { signalId, burial } = letter;
  const queue = await backend.queue(SIGNALS);
  // The undertaker may have been killed between its two steps.
  await backend.jobs.removeFinished(SIGNALS, 'failed', burial);

  const acceptedAt = Date.parse(letter.acceptedAt);
  await queue.add(letter.typeCode, revive(letter, now), signalJobOptions(signalId, acceptedAt));
  await backend.ledger.markUnsent({ signalId, acceptedAt });

  const held = await queue.getJob(signalId);
  const ours = SignalJobSchema.safeParse(held?.data).data?.redriveOf === burialId(letter);
  return held === undefined || ours || (await held.getState()) !== 'failed';
};

/** The job as it was, one life further. What could not be read goes back untouched. */
const revive = (letter: DeadLetter, now: Date): unknown => {
  const job = SignalJobSchema.safeParse(letter.job).data;
  if (job === undefined) return letter.job;
  const redrivenAt = now.toISOString();
  // Retried in the board, all at once: nobody has said who.
  const logged = withRedrive(job, letter.redriveBy ?? { at: redrivenAt });
  const { nextAttemptAt, deferrals, lastDeferral, diedAlone, ...rest } = logged;
  return {
    ...rest,
    attempts: letter.attempts,
    redrives: letter.redrives + 1,
    redrivenAt,
    redriveOf: burialId(letter),
  };
};
