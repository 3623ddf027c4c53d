import { DEAD_LETTERS, SIGNALS } from '../backend.ts';

/** Where things lie in Redis, beside BullMQ's own. */
export const redisKeys = (prefix: string) => ({
  job: (signalId: string) => `${prefix}:${SIGNALS}:${signalId}`,
  /** What is in this state, or else is of the queue: `wait`, `completed`, `meta`. */
  list: (part: string) => `${prefix}:${SIGNALS}:${part}`,
  deadLetter: (signalId: string) => `${prefix}:${DEAD_LETTERS}:${signalId}`,
  dedupe: (signalId: string) => `${prefix}:dedupe:${signalId}`,
  /** The record of a skipped signal. */
  skipped: (signalId: string) => `${prefix}:skipped:${signalId}`,
  outcomes: (hour: number) => `${prefix}:outcomes:${hour}`,
  unsent: `${prefix}:unsent`,
});
