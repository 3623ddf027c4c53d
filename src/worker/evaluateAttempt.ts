import type { Attempt, SignalJob } from '../schemas/signalJob.ts';
import type { Attempted } from './delivery/bisectBatch.ts';
import { applyRetryLimits, isGatewayCode, type RetryLimits } from './seek/classify.ts';

export type RetryPolicy = BackoffPolicy & RetryLimits;

/** `waitMs`: how long to wait for the next attempt. 0: there is none. */
export type AttemptDecision = { number: number; waitMs: number; attempt: Attempt };

type FinishedAttempt = {
  signalJob: SignalJob;
  attempted: Attempted;
  /** Of the attempt, from 1. */
  number: number;
  startedAt: number;
  endedAt: number;
};

/** Applies this worker's own retry limits to an attempt. Limits stored with a job are ignored. */
export const evaluateAttempt = (
  { signalJob, attempted, number, startedAt, endedAt }: FinishedAttempt,
  policy: RetryPolicy,
  random: () => number,
): AttemptDecision => {
  const ageMs = ageMsOf(signalJob, startedAt);
  const inARow = gatewayAttempts(signalJob, number - 1) + 1;
  const outcome = applyRetryLimits(attempted.outcome, { attempt: number, ageMs, inARow }, policy);
  const waitMs =
    outcome.kind === 'retry'
      ? backoffMs({ ...policy, attempt: number, retryAfterMs: outcome.retryAfterMs, random })
      : 0;
  const { requestId, outage, seekAnswer, tokenUsed } = attempted;
  return {
    number,
    waitMs,
    attempt: {
      at: new Date(startedAt).toISOString(),
      ...(requestId === undefined ? {} : { requestId }),
      outcome: outcome.kind,
      ...('code' in outcome ? { code: outcome.code } : {}),
      ...('reason' in outcome ? { reason: outcome.reason } : {}),
      durationMs: Math.max(0, endedAt - startedAt),
      ...(outage === undefined ? {} : { outage }),
      ...(seekAnswer === undefined ? {} : { seekAnswer }),
      ...(tokenUsed === undefined ? {} : { tokenUsed }),
    },
  };
};

/** How many of the last attempts since the last redrive, which made `made`, ended with a status of a gateway. */
const gatewayAttempts = ({ attempts }: SignalJob, made: number): number => {
  const own = attempts.slice(Math.max(0, attempts.length - made));
  return own.length - 1 - own.findLastIndex(({ code, outage }) => outage || !isGatewayCode(code));
};

/** Milliseconds since the signal was accepted, or since its last redrive. */
export const ageMsOf = ({ redrivenAt, acceptedAt }: SignalJob, now: number): number =>
  now - Date.parse(redrivenAt ?? acceptedAt);

const JITTER = 0.2;

export type BackoffPolicy = { baseMs: number; maxMs: number };

type BackoffInput = BackoffPolicy & {
  /** The number of the attempt that failed, from 1. */
  attempt: number;
  /** From SEEK's Retry-After header. It can lengthen the wait, never shorten it. */
  retryAfterMs?: number | undefined;
  random?: () => number;
};

/** Milliseconds to wait after attempt number `attempt` has failed. */
export const backoffMs = ({
  attempt,
  baseMs,
  maxMs,
  retryAfterMs = 0,
  random = Math.random,
}: BackoffInput): number => {
  const planned = Math.min(baseMs * 2 ** (attempt - 1), maxMs);
  // Without jitter, all signals would reach a recovering SEEK API at the same moment.
  const spread = planned * (1 + JITTER * (2 * random() - 1));

  return Math.max(1, Math.round(Math.max(spread, retryAfterMs)));
};
