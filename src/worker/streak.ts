const LENGTH = 5;

/**
 * Requests in a row that came to trouble. Five of them without a signal that was in each are no
 * accident, and no signal's fault.
 */
export const createStreak = () => {
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
