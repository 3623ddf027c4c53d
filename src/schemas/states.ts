import type { Attempt } from './signalJob.ts';

/** Where a signal is. The same words in the API, the command line and the metrics. */
export type SignalState = 'waiting' | 'active' | 'retrying' | 'delivered' | 'skipped' | 'dead';

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
