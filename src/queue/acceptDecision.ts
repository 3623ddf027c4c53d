import type { SkipReason } from '../schemas/signalJob.ts';
import type { SignalState } from '../schemas/signalRecord.ts';

/**
 * What was read about a signal after an attempt to enqueue it. An optional field is absent if nothing
 * was found, or if the fields before it decide already.
 */
export type Facts = {
  signalId: string;
  /** Identifies the content that is being enqueued. Differs from the id only under an Idempotency-Key. */
  contentId: string;
  /** The attempt found nothing under the id, and added the job. */
  added: boolean;
  /** The job in the signals queue. Read only if there is no dedupe record. */
  job?: QueuedJob | undefined;
  /** Why the signal was skipped. Read only if the dedupe record has the same content. */
  skip?: Skip | undefined;
  existing?: Existing | undefined;
  state?: SignalState | undefined;
  isLastAttempt: boolean;
};

export type QueuedJob = {
  /** The job state, in BullMQ's words. */
  state: string;
  finishedAt?: number | undefined;
  /** The dedupe window has ended. BullMQ keeps completed jobs for lookups, perhaps longer. */
  isPastWindow?: boolean;
};

export type Skip = {
  reason: string | undefined;
  /** The job under the id. Absent if it was removed since. */
  job?: { outcome: string | undefined; finishedAt: number | undefined } | undefined;
};

/** From the dedupe record, a job or a dead letter. No `contentId`: its data is unreadable. */
export type Existing = { contentId: string | undefined };

export type Action =
  | { kind: 'accepted' }
  | { kind: 'duplicate'; state: SignalState }
  | { kind: 'conflict' }
  /** Remove what is left of a completed signal, then re-enqueue it. */
  | Reopen
  /** Another process changed the signal between the reads: try to enqueue it again, and read again. */
  | { kind: 'tryAgain' };

type Reopen = { kind: 'reopen'; finishedAt: number | undefined };

/**
 * Decides what happens to a signal after an attempt to enqueue it. The first row that applies counts:
 *
 * | facts                                                          | action               |
 * | -------------------------------------------------------------- | -------------------- |
 * | added                                                          | accepted             |
 * | job completed, past its dedupe window                          | reopen               |
 * | skipped because of its token; no job, or a skipped one         | reopen               |
 * | nothing exists under the id any more                           | tryAgain             |
 * | Idempotency-Key, and the existing content differs              | conflict             |
 * | Idempotency-Key, and the existing content is unreadable        | conflict             |
 * | same content, in a known state                                 | duplicate, its state |
 * | same content, no state found, attempts are left                | tryAgain             |
 * | same content, no state found, last attempt                     | duplicate, `waiting` |
 */
export const decide = (facts: Facts): Action => {
  const { added, existing, state, isLastAttempt } = facts;
  if (added) return { kind: 'accepted' };
  const reopen = toReopen(facts);
  if (reopen !== undefined) return reopen;
  if (existing === undefined) return { kind: 'tryAgain' };
  if (isConflict(facts)) return { kind: 'conflict' };
  if (state !== undefined) return { kind: 'duplicate', state };
  // Another process may have reopened the signal, and not re-enqueued it yet.
  return isLastAttempt ? { kind: 'duplicate', state: 'waiting' } : { kind: 'tryAgain' };
};

/** What to remove so that the signal can be enqueued as new. `undefined`: everything must stay. */
export const toReopen = ({ job, skip }: Pick<Facts, 'job' | 'skip'>): Reopen | undefined => {
  // Never a failed job, however old: it is about to move to the dead letters. Removing it loses the signal.
  if (job?.state === 'completed' && job.isPastWindow && job.finishedAt !== undefined) {
    return { kind: 'reopen', finishedAt: job.finishedAt };
  }
  if (skip === undefined || !isRetryable(skip.reason)) return undefined;
  // Any other job is a newer one of the same signal. Removing it loses the signal.
  if (skip.job !== undefined && skip.job.outcome !== 'skipped') return undefined;
  return { kind: 'reopen', finishedAt: skip.job?.finishedAt };
};

/**
 * True if the Idempotency-Key was used for other content. Without a key, the id is derived from the
 * content, so the content is the same. Unreadable content counts as other content: if it counted as the
 * same, the signal being enqueued could be lost.
 */
export const isConflict = ({
  signalId,
  contentId,
  existing,
}: Pick<Facts, 'signalId' | 'contentId' | 'existing'>): boolean =>
  existing !== undefined && signalId !== contentId && existing.contentId !== contentId;

/** True if an identifier that was recorded since the skip may let the signal be delivered. */
export const isRetryable = (reason: string | undefined): boolean => RETRYABLE.has(reason);

const RETRYABLE: ReadonlySet<string | undefined> = new Set<SkipReason>([
  'no-token',
  'token-expired',
  'not-required',
  'not-advertised',
]);
