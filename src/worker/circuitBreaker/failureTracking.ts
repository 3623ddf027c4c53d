const LENGTH = 5;

/**
 * Requests in a row that came to trouble. Five of them without a signal that was in each are no
 * accident, and no signal's fault.
 */
export const createConsecutiveFailures = () => {
  let requests = 0;
  let inEach: ReadonlySet<string> | undefined;

  return {
    /** Whether that is enough. */
    add: (signalIds: readonly string[]): boolean => {
      requests += 1;
      const before = inEach;
      inEach = new Set(before === undefined ? signalIds : signalIds.filter((id) => before.has(id)));
      return requests >= LENGTH && inEach.size === 0;
    },
    end: (): void => {
      requests = 0;
      inEach = undefined;
    },
  };
};

/** Counts how often something happened in the last full second, or in this one if that was more. */
export const createRecentRate = (now: () => number) => {
  let second = 0;
  let count = 0;
  let before = 0;

  const turn = (): void => {
    const current = Math.floor(now() / 1000);
    if (current === second) return;
    before = current === second + 1 ? count : 0;
    second = current;
    count = 0;
  };

  return {
    note: (): void => {
      turn();
      count += 1;
    },
    perSecond: (): number => {
      turn();
      return Math.max(count, before);
    },
  };
};
