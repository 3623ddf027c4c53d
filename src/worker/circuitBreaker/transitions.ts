import type { BreakerState, OpenBreaker } from '../../queue/breakerState.ts';
import { lowerRate, restartRampUp } from './rateLimiter.ts';

const FIRST_PAUSE_MS = 1_000;
// A longer Retry-After may be a mistake, so a worker probes after an hour at the latest.
const MAX_PAUSE_MS = 3_600_000;
const JITTER = 0.2;
// Answers that arrive together ask for pauses that end together. A smaller extension is not worth a write.
const MIN_EXTENSION_MS = 250;
// How long the other workers wait for the prober. It renews the lease while it runs.
const PROBE_LEASE_MS = 5_000;

/** Why the breaker opens, or stays open. */
export type SeekFailure = {
  code: string;
  reason: string;
  retryAfterMs?: number | undefined;
  /** Present if SEEK limited our rate: how many requests per second were made at that time. */
  limitedAt?: number;
};

export type Pauses = { maxMs: number; random: () => number };

/**
 * The state after a failure: open. While the breaker is open, only a failed probe makes the pause grow.
 * Requests that were in flight when it opened (`by` is absent) fail for the same reason; they can only
 * extend the pause, with a later Retry-After. `undefined`: no change.
 */
export const trip = (
  state: BreakerState,
  failure: SeekFailure,
  { by, now, ...pauses }: Pauses & { by: string | undefined; now: number },
): BreakerState | undefined => {
  const { open } = state;
  const retryAt = now + Math.min(failure.retryAfterMs ?? 0, MAX_PAUSE_MS);
  const isProbe = by !== undefined && open?.probe?.by === by;
  if (open !== undefined && !isProbe) {
    return retryAt > open.until + MIN_EXTENSION_MS
      ? { ...state, open: { ...open, until: retryAt } }
      : undefined;
  }
  const number = (open?.pauses ?? 0) + 1;
  const { code, reason, limitedAt } = failure;
  // A probe is a single request, so its rate says nothing about the limit.
  const isTooFast = limitedAt !== undefined && open === undefined;
  return {
    ...(isTooFast ? lowerRate(state, limitedAt, now) : state),
    open: {
      since: open?.since ?? now,
      code,
      reason,
      pauses: number,
      until: Math.max(now + pauseMs(number, pauses), retryAt),
    },
  };
};

/** Doubles from one second to `maxMs`. The jitter keeps workers from probing in step. */
export const pauseMs = (number: number, { maxMs, random }: Pauses): number => {
  const planned = Math.min(FIRST_PAUSE_MS * 2 ** (number - 1), maxMs);
  return Math.round(Math.min(planned * (1 + JITTER * (2 * random() - 1)), maxMs));
};

/** The state after a successful probe of worker `by`: closed. `undefined`: `by` does not hold the probe. */
export const reset = (
  { open, throttle }: BreakerState,
  by: string,
  now: number,
): BreakerState | undefined => (open?.probe?.by === by ? restartRampUp(throttle, now) : undefined);

/**
 * Makes the breaker half-open: reserves the next probe for worker `by`, or renews its lease.
 * `undefined`: another worker holds the probe, or none is due.
 */
export const takeProbe = (
  state: BreakerState,
  by: string,
  now: number,
): BreakerState | undefined => {
  const { open } = state;
  if (open === undefined || !mayProbe(open, by, now)) return undefined;
  return { ...state, open: { ...open, probe: { by, until: now + PROBE_LEASE_MS } } };
};

/** Gives up the probe of worker `by`, so that any worker can take it. `undefined`: it does not hold one. */
export const yieldProbe = (state: BreakerState, by: string): BreakerState | undefined => {
  if (state.open?.probe?.by !== by) return undefined;
  const { probe, ...open } = state.open;
  return { ...state, open };
};

const mayProbe = (open: OpenBreaker, by: string, now: number): boolean => {
  const { probe } = open;
  if (probe?.by === by) return true;
  return (
    isPauseOver(open, now) && (probe === undefined || isPast(probe.until, PROBE_LEASE_MS, now))
  );
};

export const isPauseOver = ({ until }: OpenBreaker, now: number): boolean =>
  isPast(until, MAX_PAUSE_MS, now);

/** A time further ahead than `maxMs` counts as past: the clock was set back after it was stored. */
const isPast = (at: number, maxMs: number, now: number): boolean =>
  now >= at || at - now > maxMs + PROBE_LEASE_MS;
