import type { Attempt } from './signalJob.ts';

/** Where a signal may be. The same words in the API, the command line and the metrics. */
export const SIGNAL_STATES = [
  'waiting',
  'active',
  'retrying',
  'delivered',
  'skipped',
  'dead',
] as const;

export type SignalState = (typeof SIGNAL_STATES)[number];

/** Everything that can be told about one signal. Holds no token. */
export type SignalLife = {
  signalId: string;
  typeCode: string;
  state: SignalState;
  acceptedAt: string;
  attempts: Attempt[];
  nextAttemptAt?: string;
  redrives: number;
  /** Why it was skipped or died. */
  reason?: string;
};
