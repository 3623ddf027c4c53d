import { type Job, QueueKeys } from 'bullmq';
import { type Backend, DEAD_LETTERS, SIGNALS } from '../queue/backend.ts';
import { deadLetterJobOptions } from '../queue/bullWorker.ts';
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
 * Makes a dead letter of a failed job: adds the dead letter, reads it back, and removes the job only if
 * the dead letter holds this very burial. Killed at any line, it leaves the signal in at least one queue;
 * repeated by anybody at any time, it doubles nothing.
 *
 * The reading back matters because `add` is ignored while a dead letter of that id exists: one that is
 * just being redriven would complete and vanish, and a job removed by then would be gone with it.
 *
 * Resolves with the dead letter if this call buried it, `undefined` if somebody else did or it must wait.
 */
export const createMoveToDeadLetters =
  (backend: Backend) =>
  async (job: Job): Promise<DeadLetter | undefined> => {
    const fresh = toDeadLetter(job);
    if (fresh === undefined) return undefined;
    const deadLetters = await backend.queue(DEAD_LETTERS);
    const deadLetterId = fresh.signalId;

    await deadLetters.add(fresh.typeCode, fresh, deadLetterJobOptions(deadLetterId));
    const stored = await deadLetters.getJob(deadLetterId);
    const held = readDeadLetter(stored);
    if (stored === undefined) return undefined;

    if (held === undefined || failureId(held) !== failureId(fresh)) {
      // An older burial of the same signal. While it is on its way back to the queue, wait for it.
      if ((await stored.getState()) !== 'failed') return undefined;
      await stored.updateData({ ...fresh, attempts: merge(held?.attempts ?? [], fresh.attempts) });
      // Retried as new, so that a worker fails it again, now with the reason that is true.
      await stored.retry('failed', { resetAttemptsMade: true });
    }

    return (await backend.jobs.removeFinished(SIGNALS, 'failed', fresh.failedJob))
      ? fresh
      : undefined;
  };

const merge = (older: Attempt[], newer: Attempt[]): Attempt[] => {
  const known = new Set(newer.map(({ at }) => at));
  return [...older.filter(({ at }) => !known.has(at)), ...newer];
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

// A foreign job may carry any number for the time at which it was added.
const addedAt = ({ timestamp, finishedOn }: Job): Date => {
  const added = Number.isInteger(timestamp) && timestamp > 0 ? timestamp : 0;
  return new Date(Math.min(added, finishedOn ?? 0));
};

const causeOf = (job: Job, last: Attempt | undefined, readable: boolean) => {
  const reason = job.failedReason;
  if (!readable) return { code: UNREADABLE, reason: reason.replace(`${UNREADABLE}: `, '') };
  if (last?.outcome === 'dead' && reason === failureText(last)) {
    return { code: last.code ?? 'UNKNOWN', reason: last.reason ?? reason };
  }
  // No attempt came to this end: its workers kept dying under it.
  return { code: STALLED, reason: reason.replace(`${STALLED}: `, '') };
};

/** BullMQ refuses ids that are whole numbers, which it gives itself to jobs that were added without. */
export const deadLetterIdOf = (jobId: string): string =>
  /^\d+$/.test(jobId) ? `job-${jobId}` : jobId;

const MOST_CHARACTERS = 1_000;
// With one colon it could be the name of another job's lock; with two BullMQ once named jobs itself.
const PARTS: ReadonlySet<number> = new Set([1, 3]);
// Under these names a queue keeps what is no job.
const TAKEN: ReadonlySet<string> = new Set(Object.keys(new QueueKeys().getKeys(DEAD_LETTERS)));

/** As BullMQ wants ids, so that a dead letter may be added under it that did not come from our own queue. */
export const isDeadLetterId = (id: string): boolean =>
  id.length <= MOST_CHARACTERS &&
  !TAKEN.has(id) &&
  PARTS.has(id.split(':').length) &&
  String(Number.parseInt(id, 10)) !== id;
