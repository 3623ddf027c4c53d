import type { TakenJob } from '../queue/jobSource.ts';
import type { Attempt, SignalJob } from '../schemas/signalJob.ts';
import type { AttemptSpan } from './attemptSpan.ts';
import type { Entry } from './delivery/sendAuthorised.ts';

/** A signal that this worker has taken, from the start of its attempt to its end. */
export type InFlight = {
  readonly job: TakenJob;
  readonly signalJob: SignalJob;
  /** In milliseconds. */
  readonly startedAt: number;
  /** Absent where attempts are not traced. */
  readonly span: AttemptSpan | undefined;
};

/** A signal in flight whose identifiers are resolved. */
export type ResolvedEntry = Entry & {
  readonly inFlight: InFlight;
  readonly tokenUsed: Attempt['tokenUsed'];
};
