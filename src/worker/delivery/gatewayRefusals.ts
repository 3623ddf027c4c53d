const WINDOW_MS = 60_000;
// Older entries are dropped first.
const MAX_TRACKED = 1_000;

/**
 * Tells a signal that a gateway refuses for its content from a gateway that refuses many: those that were
 * refused and not accepted since.
 */
export const createGatewayRefusals = (now: () => number = () => performance.now()) => {
  const refusedAt = new Map<string, number>();

  return {
    /** Records a refusal. Returns whether another signal was refused within a minute. */
    refuse: (signalId: string): boolean => {
      const at = now();
      // Deleted first, so that the entries stay in the order of their times.
      refusedAt.delete(signalId);
      for (const [oldest, time] of refusedAt) {
        if (at - time <= WINDOW_MS && refusedAt.size < MAX_TRACKED) break;
        refusedAt.delete(oldest);
      }
      const refusesOthers = refusedAt.size > 0;
      refusedAt.set(signalId, at);
      return refusesOthers;
    },
    accept: (signalId: string): void => {
      refusedAt.delete(signalId);
    },
  };
};
