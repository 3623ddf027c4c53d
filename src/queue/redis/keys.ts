import { DEAD_LETTERS, SIGNALS } from '../backend.ts';

/**
 * The files in this folder and the scripts in `lua/` read and write BullMQ's keys, as BullMQ 6.7.0
 * stores them. Another major version may store them otherwise, and signals could then be lost.
 */
const BULLMQ_MAJOR = 6;

/** Throws unless `major` is the version of BullMQ whose key layout this folder follows. */
export const assertBullMqMajor = (major: number): void => {
  if (major === BULLMQ_MAJOR) return;
  throw new Error(
    `Expected bullmq ${BULLMQ_MAJOR}, whose layout of Redis keys this version follows; found bullmq ${major}. Install the version that package.json names.`,
  );
};

/** The keys in Redis: those of BullMQ (`job`, `list`, `deadLetter`), and ours beside them. */
export const redisKeys = (prefix: string) => ({
  job: (signalId: string) => `${prefix}:${SIGNALS}:${signalId}`,
  /** A key of the signals queue by BullMQ's name, such as `wait`, `completed` or `meta`. */
  list: (part: string) => `${prefix}:${SIGNALS}:${part}`,
  deadLetter: (signalId: string) => `${prefix}:${DEAD_LETTERS}:${signalId}`,
  dedupe: (signalId: string) => `${prefix}:dedupe:${signalId}`,
  /** The skip record of a signal. */
  skipped: (signalId: string) => `${prefix}:skipped:${signalId}`,
  outcomes: (hour: number) => `${prefix}:outcomes:${hour}`,
  unsent: `${prefix}:unsent`,
});
