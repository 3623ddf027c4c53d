import type { Attempt, Deferral, Redrive } from './signalJob.ts';

/** The states of a signal. API, command line, board and metrics use these words. */
export const SIGNAL_STATES = [
  'waiting',
  'active',
  'retrying',
  'delivered',
  'skipped',
  'dead',
] as const;

export type SignalState = (typeof SIGNAL_STATES)[number];

/** The identifiers that a signal names; of the position profiles at most the first 20. */
export type SignalReferences = {
  applicationId?: string;
  candidateApplicationProfileId?: string;
  positionId?: string;
  positionProfileIds?: string[];
};

/** Everything that is known of one signal. Holds no token. */
export type SignalRecord = SignalReferences & {
  signalId: string;
  typeCode: string;
  state: SignalState;
  acceptedAt: string;
  /** The name of the API key, or of the producer, that sent the signal. */
  acceptedFrom?: string;
  /** Oldest first; at most the newest 200. */
  attempts: Attempt[];
  /** When a retrying signal is sent again. */
  nextAttemptAt?: string;
  /** The most recent deferral of a retrying signal. */
  lastDeferral?: Deferral;
  redrives: number;
  /** Oldest first; at most the newest 50. */
  redriveLog?: Redrive[];
  /** The trace in which the signal was accepted, if it was sampled. */
  traceId?: string;
  /** Why the signal was skipped, or became a dead letter. */
  reason?: string;
};
