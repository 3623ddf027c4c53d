import {
  type BreakerStore,
  parseBreakerState,
  SEND_RATE_MS,
  type SendRate,
  SLOT_HORIZON_MS,
} from '../breakerState.ts';

// The time of day, without the jumps of a wall clock that is set back.
const monotonicNow = (): number => Math.floor(performance.timeOrigin + performance.now());

/** The circuit breaker's state, in memory: the embedded queue has one process, and starts with a closed breaker. */
export const createMemoryBreakerStore = (now: () => number = monotonicNow): BreakerStore => {
  let stored = '';
  let nextSlot = 0;
  const rates = new Map<string, SendRate & { at: number }>();

  return {
    read: async (sending) => {
      if (sending !== undefined) rates.set(sending.by, { ...sending, at: now() });
      for (const [by, { at }] of rates) if (now() - at > SEND_RATE_MS) rates.delete(by);
      const perSecond = [...rates.values()].reduce((sum, rate) => sum + rate.perSecond, 0);
      return { state: parseBreakerState(stored), now: now(), version: stored, perSecond };
    },
    replace: async (version, state) => {
      if (version !== stored) return false;
      stored = JSON.stringify(state);
      return true;
    },
    reserveSlot: async (perSecond) => {
      const slot = Math.max(now(), nextSlot);
      const beyond = slot - now() - SLOT_HORIZON_MS;
      if (beyond > 0) return -Math.ceil(beyond);
      nextSlot = slot + 1000 / perSecond;
      return Math.ceil(slot - now());
    },
  };
};
