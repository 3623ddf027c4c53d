import type { Attempt, SignalJob } from '../schemas/signalJob.ts';
import { type BackoffPolicy, backoffMs } from './backoff.ts';
import { type Bounds, exhaust } from './classify.ts';
import type { Attempted } from './isolate.ts';

export type Policy = BackoffPolicy & Bounds;

/** What an attempt came to, and how long to wait for the next; 0: there is none. */
export type Judged = { number: number; waitMs: number; attempt: Attempt };

type Tried = {
  signalJob: SignalJob;
  attempted: Attempted;
  /** Of the attempt, from 1. */
  number: number;
  startedAt: number;
  endedAt: number;
};

/** One attempt, judged by this worker's own bounds: what a job carries never decides. */
export const judge = (
  { signalJob, attempted, number, startedAt, endedAt }: Tried,
  policy: Policy,
  random: () => number,
): Judged => {
  const life = { attempt: number, ageMs: ageMsOf(signalJob, startedAt) };
  const outcome = exhaust(attempted.outcome, life, policy);
  const waitMs =
    outcome.kind === 'retry'
      ? backoffMs({ ...policy, attempt: number, retryAfterMs: outcome.retryAfterMs, random })
      : 0;
  const { requestId, bound } = attempted;
  return {
    ...{ number, waitMs },
    attempt: {
      at: new Date(startedAt).toISOString(),
      ...(requestId === undefined ? {} : { requestId }),
      outcome: outcome.kind,
      ...('code' in outcome ? { code: outcome.code } : {}),
      ...('reason' in outcome ? { reason: outcome.reason } : {}),
      durationMs: Math.max(0, endedAt - startedAt),
      ...(bound === undefined ? {} : { bound }),
    },
  };
};

/** Since the signal was accepted, or last redriven. */
export const ageMsOf = ({ redrivenAt, acceptedAt }: SignalJob, now: number): number =>
  now - Date.parse(redrivenAt ?? acceptedAt);
