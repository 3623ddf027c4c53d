const FAILURES_TO_TRIP = 5;

/**
 * Counts consecutive failed requests. Five of them with no signal in common are neither an accident nor
 * the fault of a signal.
 */
export const createConsecutiveFailures = () => {
  let requests = 0;
  let commonIds: ReadonlySet<string> | undefined;

  return {
    /** Records a failed request. Returns whether the failures since the last reset are enough to trip. */
    add: (signalIds: readonly string[]): boolean => {
      requests += 1;
      const previous = commonIds;
      commonIds = new Set(
        previous === undefined ? signalIds : signalIds.filter((id) => previous.has(id)),
      );
      return requests >= FAILURES_TO_TRIP && commonIds.size === 0;
    },
    reset: (): void => {
      requests = 0;
      commonIds = undefined;
    },
  };
};

/** Counts events per second: in the last full second, or in the current one if that has more. */
export const createRecentRate = (now: () => number) => {
  let second = 0;
  let count = 0;
  let previousCount = 0;

  const advance = (): void => {
    const current = Math.floor(now() / 1000);
    if (current === second) return;
    previousCount = current === second + 1 ? count : 0;
    second = current;
    count = 0;
  };

  return {
    record: (): void => {
      advance();
      count += 1;
    },
    perSecond: (): number => {
      advance();
      return Math.max(count, previousCount);
    },
  };
};

export type RecentRate = ReturnType<typeof createRecentRate>;
