import type { Attempt, Deferral, Redrive } from './signalJob.ts';

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

/** Whose signal it is, where it says so: of position profiles the first. */
export type SignalReferences = {
  applicationId?: string;
  candidateApplicationProfileId?: string;
  positionProfileIds?: string[];
};

/** Everything that can be told about one signal. Holds no token. */
export type SignalRecord = SignalReferences & {
  signalId: string;
  typeCode: string;
  state: SignalState;
  acceptedAt: string;
  /** The name of the API key, or of the application, that it was sent with. */
  acceptedFrom?: string;
  attempts: Attempt[];
  nextAttemptAt?: string;
  /** Why it was put off the last time, with no attempt spent. */
  lastDeferral?: Deferral;
  redrives: number;
  /** When it was put back, and by whom, oldest first: the last of them. */
  redriveLog?: Redrive[];
  /** Of the trace that it was accepted in, where that was recorded. */
  traceId?: string;
  /** Why it was skipped or died. */
  reason?: string;
};
