import type { Attempt, SignalJob } from '../schemas/signalJob.ts';
import type { Attempted } from './delivery/bisectBatch.ts';
import { applyRetryLimits, type Bounds } from './seek/classify.ts';

export type Policy = BackoffPolicy & Bounds;

/** What an attempt came to, and how long to wait for the next; 0: there is none. */
export type AttemptDecision = { number: number; waitMs: number; attempt: Attempt };

type Tried = {
  signalJob: SignalJob;
  attempted: Attempted;
  /** Of the attempt, from 1. */
  number: number;
  startedAt: number;
  endedAt: number;
};

/** One attempt, judged by this worker's own bounds: what a job carries never decides. */
export const evaluateAttempt = (
  { signalJob, attempted, number, startedAt, endedAt }: Tried,
  policy: Policy,
  random: () => number,
): AttemptDecision => {
  const life = { attempt: number, ageMs: ageMsOf(signalJob, startedAt) };
  const outcome = applyRetryLimits(attempted.outcome, life, policy);
  const waitMs =
    outcome.kind === 'retry'
      ? backoffMs({ ...policy, attempt: number, retryAfterMs: outcome.retryAfterMs, random })
      : 0;
  const { requestId, tokenUsed } = attempted;
  return {
    ...{ number, waitMs },
    attempt: {
      at: new Date(startedAt).toISOString(),
      ...(requestId === undefined ? {} : { requestId }),
      outcome: outcome.kind,
      ...('code' in outcome ? { code: outcome.code } : {}),
      ...('reason' in outcome ? { reason: outcome.reason } : {}),
      durationMs: Math.max(0, endedAt - startedAt),
      ...(tokenUsed === undefined ? {} : { tokenUsed }),
    },
  };
};

/** Since the signal was accepted, or last redriven. */
export const ageMsOf = ({ redrivenAt, acceptedAt }: SignalJob, now: number): number =>
  now - Date.parse(redrivenAt ?? acceptedAt);

const JITTER = 0.2;

export type BackoffPolicy = { baseMs: number; maxMs: number };

type Input = BackoffPolicy & {
  /** The number of the attempt that failed, from 1. */
  attempt: number;
  /** What SEEK asked for: it may make the wait longer, not shorter. */
  retryAfterMs?: number | undefined;
  random?: () => number;
};

/** How many milliseconds to wait once attempt number `attempt` has failed. */
export const backoffMs = ({
  attempt,
  baseMs,
  maxMs,
  retryAfterMs = 0,
  random = Math.random,
}: Input): number => {
  const planned = Math.min(baseMs * 2 ** (attempt - 1), maxMs);
  // Spread by ±20 %, so that a recovering API is not met by everyone at once.
  const spread = planned * (1 + JITTER * (2 * random() - 1));

  return Math.max(1, Math.round(Math.max(spread, retryAfterMs)));
};
