import { type Job, QueueKeys } from 'bullmq';
import { type Backend, DEAD_LETTERS, SIGNALS } from '../queue/backend.ts';
import { deadLetterJobOptions } from '../queue/jobOptions.ts';
import { readDeadLetter } from '../queue/readDeadLetters.ts';
import { DEAD_LETTER_VERSION, type DeadLetter, failureId } from '../schemas/deadLetter.ts';
import {
  type Attempt,
  failureText,
  SignalJobSchema,
  STALLED,
  UNREADABLE,
} from '../schemas/signalJob.ts';

/**
 * Moves a failed job to the dead letters: adds the dead letter, reads it back, and removes the job only
 * if the dead letter holds this very failure. A crash at any line leaves the signal in at least one
 * queue. Any process may repeat the move at any time: it never creates a second dead letter.
 *
 * The dead letter is read back because `add` has no effect while a dead letter of that id exists. That
 * one may be on its way back to the queue and about to disappear. If this function then removed the
 * job, the signal would be lost.
 *
 * Resolves with the dead letter if this call moved the job. Resolves with `undefined` if another
 * process did, or if the move has to wait.
 */
export const createMoveToDeadLetters =
  (backend: Backend) =>
  async (job: Job): Promise<DeadLetter | undefined> => {
    const deadLetter = toDeadLetter(job);
    if (deadLetter === undefined) return undefined;
    const deadLetters = await backend.queue(DEAD_LETTERS);
    const deadLetterId = deadLetter.signalId;

    await deadLetters.add(deadLetter.typeCode, deadLetter, deadLetterJobOptions(deadLetterId));
    const storedJob = await deadLetters.getJob(deadLetterId);
    const stored = readDeadLetter(storedJob);
    if (storedJob === undefined) return undefined;

    if (stored === undefined || failureId(stored) !== failureId(deadLetter)) {
      // The stored dead letter is of an older failure. While its redrive is in progress, wait for it.
      if ((await storedJob.getState()) !== 'failed') return undefined;
      const attempts = mergeAttempts(stored?.attempts ?? [], deadLetter.attempts);
      await storedJob.updateData({ ...deadLetter, attempts });
      // Retried like a new dead letter, so that the redrive worker fails it with the newer reason.
      await storedJob.retry('failed', { resetAttemptsMade: true });
    }

    return (await backend.jobs.removeFinished(SIGNALS, 'failed', deadLetter.failedJob))
      ? deadLetter
      : undefined;
  };

const mergeAttempts = (older: Attempt[], newer: Attempt[]): Attempt[] => {
  const newerTimes = new Set(newer.map(({ at }) => at));
  return [...older.filter(({ at }) => !newerTimes.has(at)), ...newer];
};

const toDeadLetter = (job: Job): DeadLetter | undefined => {
  if (job.id === undefined || job.finishedOn === undefined) return undefined;
  const data = SignalJobSchema.safeParse(job.data).data;

  return {
    version: DEAD_LETTER_VERSION,
    signalId: deadLetterIdOf(job.id),
    failedJob: { jobId: job.id, finishedAt: job.finishedOn },
    typeCode: data?.signal.typeCode ?? 'unknown',
    ...causeOf(job, data?.attempts.at(-1), data !== undefined),
    diedAt: new Date(job.finishedOn).toISOString(),
    acceptedAt: data?.acceptedAt ?? addedAt(job).toISOString(),
    attempts: data?.attempts ?? [],
    redrives: data?.redrives ?? 0,
    job: job.data,
  };
};

// Another program may have added the job with any number as its timestamp.
const addedAt = ({ timestamp, finishedOn }: Job): Date => {
  const added = Number.isInteger(timestamp) && timestamp > 0 ? timestamp : 0;
  return new Date(Math.min(added, finishedOn ?? 0));
};

const causeOf = (job: Job, lastAttempt: Attempt | undefined, isReadable: boolean) => {
  const reason = job.failedReason;
  if (!isReadable) return { code: UNREADABLE, reason: reason.replace(`${UNREADABLE}: `, '') };
  if (lastAttempt?.outcome === 'dead' && reason === failureText(lastAttempt)) {
    return { code: lastAttempt.code ?? 'UNKNOWN', reason: lastAttempt.reason ?? reason };
  }
  // No recorded attempt explains the failure: the workers crashed while they processed the job.
  return { code: STALLED, reason: reason.replace(`${STALLED}: `, '') };
};

/** BullMQ gives integer ids to jobs that are added without an id, and rejects such an id in `add`. */
export const deadLetterIdOf = (jobId: string): string =>
  /^\d+$/.test(jobId) ? `job-${jobId}` : jobId;

const MAX_ID_LENGTH = 1_000;
// An id with one colon could equal the key of another job's lock. Repeat ids of older BullMQ versions
// have two colons.
const ALLOWED_PARTS: ReadonlySet<number> = new Set([1, 3]);
// BullMQ stores something other than a job under these names.
const RESERVED_IDS: ReadonlySet<string> = new Set(
  Object.keys(new QueueKeys().getKeys(DEAD_LETTERS)),
);

/** Whether BullMQ accepts the id. Checked for dead letters that come from a file. */
export const isDeadLetterId = (id: string): boolean =>
  id.length <= MAX_ID_LENGTH &&
  !RESERVED_IDS.has(id) &&
  ALLOWED_PARTS.has(id.split(':').length) &&
  String(Number.parseInt(id, 10)) !== id;
