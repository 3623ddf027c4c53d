import type { DeadLetterView } from '../../src/deadLetters/deadLetters.ts';
import type { SignalRecord } from '../../src/schemas/signalRecord.ts';
import type { Stage } from './environment.ts';
import type { History } from './history.ts';
import type { Offered } from './signals.ts';

/** What there is to judge by when all is quiet. */
export type Evidence = {
  accepted: Offered[];
  /** Offered and never answered with yes: may have been taken, need not. */
  unsure: Offered[];
  history: Pick<History, 'of' | 'marks' | 'took' | 'duplicates' | 'byRequest'>;
  /** What the API says of each signal. */
  lookup: Map<string, SignalRecord | undefined>;
  deadLetters: DeadLetterView[];
  outputs: { name: string; text: string }[];
  /** What must not stand in any output. */
  secrets: string[];
};

/** What the scenario's faults explain, and no more. */
export type Terms = {
  /** How often signals may have been taken that SEEK had taken already. */
  duplicates: number;
  /** Attempts whose request never came as far as SEEK. */
  unseen: number;
  /** How many attempts a signal may have had. */
  attempts: number;
  /** The codes with which a signal may lie in the dead letters: by default with none. */
  mayDie: (mark: string) => readonly string[];
  maxAttempts: number;
  /** Whether a signal may be skipped for this reason: by default for none. */
  maySkip: (mark: string, reason: string) => boolean;
};

export const NO_HARM: Terms = {
  ...{ duplicates: 0, unseen: 0, attempts: Number.POSITIVE_INFINITY },
  ...{ mayDie: () => [], maxAttempts: 25, maySkip: () => false },
};

export const gather = async ({ ats, history, outputs, secrets }: Stage): Promise<Evidence> => {
  const [accepted, unsure] = [[...ats.accepted.values()], [...ats.unsure.values()]];
  return {
    ...{ accepted, unsure, history, secrets },
    lookup: await ats.lookup([...accepted, ...unsure].map(({ signalId }) => signalId)),
    deadLetters: await ats.deadLetters(),
    outputs: outputs(),
  };
};
