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
