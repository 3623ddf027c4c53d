import { DEAD_LETTERS, SIGNALS } from '../backend.ts';

/** Where things lie in Redis, beside BullMQ's own. */
export const redisKeys = (prefix: string) => ({
  job: (signalId: string) => `${prefix}:${SIGNALS}:${signalId}`,
  /** What is in this state, or else is of the queue: `wait`, `completed`, `meta`. */
  list: (part: string) => `${prefix}:${SIGNALS}:${part}`,
  deadLetter: (signalId: string) => `${prefix}:${DEAD_LETTERS}:${signalId}`,
  remembered: (signalId: string) => `${prefix}:ledger:remembered:${signalId}`,
  /** The record of a skipped signal. */
  skipped: (signalId: string) => `${prefix}:ledger:skipped:${signalId}`,
  settled: (hour: number) => `${prefix}:ledger:settled:${hour}`,
  unsent: `${prefix}:ledger:unsent`,
});
