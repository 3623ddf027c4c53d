import type { BreakerState, OpenBreaker } from '../../queue/breakerState.ts';
import { resumed, slowed } from './rateLimiter.ts';

const FIRST_PAUSE_MS = 1_000;
// However long SEEK asks us to stay away, somebody looks after an hour: it may have been a mistake.
const LONGEST_PAUSE_MS = 3_600_000;
const JITTER = 0.2;
// Answers that come together ask for pauses that end together.
const WORTH_TELLING_MS = 250;
// How long a prober is waited for. It renews this while it lives.
const LEASE_MS = 5_000;

/** Why the lane closes, or stays closed. */
export type Failure = {
  code: string;
  reason: string;
  retryAfterMs?: number | undefined;
  /** SEEK limits our rate; so many requests a second were made when it complained. */
  limitedAt?: number;
};

export type Pauses = { maxMs: number; random: () => number };

/**
 * The lane after trouble. While it is closed only the probe makes the pause grow: the requests that
 * were under way when it closed, for which `by` is absent, all come to the same trouble, and say
 * nothing new but how long to stay away. `undefined`: no change.
 */
export const close = (
  state: BreakerState,
  failure: Failure,
  { by, now, ...pauses }: Pauses & { by: string | undefined; now: number },
): BreakerState | undefined => {
  const { closed } = state;
  const retryAt = now + Math.min(failure.retryAfterMs ?? 0, LONGEST_PAUSE_MS);
  const isProbe = by !== undefined && closed?.probe?.by === by;
  if (closed !== undefined && !isProbe) {
    return retryAt > closed.until + WORTH_TELLING_MS
      ? { ...state, closed: { ...closed, until: retryAt } }
      : undefined;
  }
  const number = (closed?.pauses ?? 0) + 1;
  const { code, reason, limitedAt } = failure;
  // One that probes goes at no pace at all.
  const isTooFast = limitedAt !== undefined && closed === undefined;
  return {
    ...(isTooFast ? slowed(state, limitedAt, now) : state),
    closed: {
      ...{ since: closed?.since ?? now, code, reason, pauses: number },
      until: Math.max(now + pauseMs(number, pauses), retryAt),
    },
  };
};

/** Growing from a second to the longest, and spread, so that workers do not march in step. */
export const pauseMs = (number: number, { maxMs, random }: Pauses): number => {
  const planned = Math.min(FIRST_PAUSE_MS * 2 ** (number - 1), maxMs);
  return Math.round(Math.min(planned * (1 + JITTER * (2 * random() - 1)), maxMs));
};

/** The lane after a probe that SEEK took or judged. `undefined`: it was not this prober's to open. */
export const open = (
  { closed, pace }: BreakerState,
  by: string,
  now: number,
): BreakerState | undefined => (closed?.probe?.by === by ? resumed(pace, now) : undefined);

/** Gives the next try to `by`, or lets it keep it. `undefined`: somebody else has it, or nobody may. */
export const takeProbe = (
  state: BreakerState,
  by: string,
  now: number,
): BreakerState | undefined => {
  const { closed } = state;
  if (closed === undefined || !mayProbe(closed, by, now)) return undefined;
  return { ...state, closed: { ...closed, probe: { by, until: now + LEASE_MS } } };
};

/** Leaves the next try to whoever comes. */
export const yieldProbe = (state: BreakerState, by: string): BreakerState | undefined => {
  if (state.closed?.probe?.by !== by) return undefined;
  const { probe, ...closed } = state.closed;
  return { ...state, closed };
};

const mayProbe = (closed: OpenBreaker, by: string, now: number): boolean => {
  const { probe } = closed;
  if (probe?.by === by) return true;
  return isOver(closed, now) && (probe === undefined || isPast(probe.until, LEASE_MS, now));
};

/** Whether its pause is. */
export const isOver = ({ until }: OpenBreaker, now: number): boolean =>
  isPast(until, LONGEST_PAUSE_MS, now);

/** Nothing is put off for longer than `longestMs`: what seems to be comes from a clock set back since. */
const isPast = (at: number, longestMs: number, now: number): boolean =>
  now >= at || at - now > longestMs + LEASE_MS;
