import type { SkipReason } from '../schemas/signalJob.ts';
import type { SignalState } from '../schemas/signalRecord.ts';

/**
 * What is known of a signal after an attempt to enqueue it. An optional field is absent where there is
 * nothing, and where `decide` needs no more than the fields before it.
 */
export type Facts = {
  signalId: string;
  /** Of the signal that is being enqueued. Differs from its id only under an Idempotency-Key. */
  contentId: string;
  /** The attempt found nothing under the id, and added the job. */
  added: boolean;
  /** The job in the signals queue. Matters only without a dedupe record. */
  job?: QueuedJob | undefined;
  /** The record of why it was skipped. Matters only beside a dedupe record of the same content. */
  skip?: SkipRecord | undefined;
  existing?: Existing | undefined;
  state?: SignalState | undefined;
  isLastAttempt: boolean;
};

export type QueuedJob = {
  /** BullMQ's. */
  state: string;
  finishedAt?: number | undefined;
  /** Its dedupe window has ended. BullMQ keeps completed jobs for lookups, and may do so for longer. */
  isPastWindow?: boolean;
};

export type SkipRecord = {
  reason: string | undefined;
  /** The job that ended so. It may have been removed since. */
  job?: { outcome: string | undefined; finishedAt: number | undefined } | undefined;
};

/** By the dedupe record, or else by a job or a dead letter. No `contentId`: its data is unreadable. */
export type Existing = { contentId: string | undefined };

export type Action =
  | { kind: 'accepted' }
  | { kind: 'duplicate'; state: SignalState }
  | { kind: 'conflict' }
  /** Remove what is left of a completed signal, then re-enqueue it. */
  | Reopen
  /** Another process changed the signal between the reads: re-enqueue it, and read again. */
  | { kind: 'tryAgain' };

type Reopen = { kind: 'reopen'; finishedAt: number | undefined };

/**
 * The first row that applies counts:
 *
 * | facts                                                          | action               |
 * | -------------------------------------------------------------- | -------------------- |
 * | added                                                          | accepted             |
 * | job completed, past its dedupe window                          | reopen               |
 * | skipped for want of a token; no job, or the one that ended so  | reopen               |
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

/** What has to be removed before the signal can be enqueued as new; `undefined`: it must stay. */
export const toReopen = ({ job, skip }: Pick<Facts, 'job' | 'skip'>): Reopen | undefined => {
  // A failed job is on its way to the dead letters, however old it is. To remove it loses the signal.
  if (job?.state === 'completed' && job.isPastWindow && job.finishedAt !== undefined) {
    return { kind: 'reopen', finishedAt: job.finishedAt };
  }
  if (skip === undefined || !isRetryable(skip.reason)) return undefined;
  // Any other job is a newer one of the same signal, and is not to be removed.
  if (skip.job !== undefined && skip.job.outcome !== 'skipped') return undefined;
  return { kind: 'reopen', finishedAt: skip.job?.finishedAt };
};

/**
 * Without an Idempotency-Key the id is derived from the content, and what exists is the same. Under a
 * key, unreadable content can't be compared. Calling it the same could lose the signal being enqueued.
 */
export const isConflict = ({
  signalId,
  contentId,
  existing,
}: Pick<Facts, 'signalId' | 'contentId' | 'existing'>): boolean =>
  existing !== undefined && signalId !== contentId && existing.contentId !== contentId;

/** A seek token may have been recorded since a worker skipped the signal. */
export const isRetryable = (reason: string | undefined): boolean => RETRYABLE.has(reason);

const RETRYABLE: ReadonlySet<string | undefined> = new Set<SkipReason>([
  'no-token',
  'token-expired',
]);
