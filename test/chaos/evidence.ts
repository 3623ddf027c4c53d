import type { DeadLetterView } from '../../src/deadLetters/deadLetters.ts';
import type { SignalRecord } from '../../src/schemas/signalRecord.ts';
import type { Environment } from './environment.ts';
import type { History } from './history.ts';
import type { TestSignal } from './signals.ts';

/** What the checker compares, collected after all work has ended. */
export type Evidence = {
  accepted: TestSignal[];
  /** Sent to the API without an answer that accepts them: they may be in the queue or not. */
  uncertain: TestSignal[];
  history: Pick<History, 'of' | 'marks' | 'isProcessed' | 'duplicates' | 'byRequest'>;
  /** The API's record of each signal. */
  lookup: Map<string, SignalRecord | undefined>;
  deadLetters: DeadLetterView[];
  outputs: { name: string; text: string }[];
  /** Texts that no output may contain. */
  secrets: string[];
};

/** The harm that a scenario's faults explain. The checker reports anything beyond it. */
export type Allowance = {
  /** How often SEEK may have processed signals that it had processed before. */
  duplicates: number;
  /** How many attempts may have spent a request that never reached SEEK. */
  unreached: number;
  /** How many attempts one signal may have had. */
  attempts: number;
  /** The codes that this signal may have as a dead letter. */
  allowedDeadCodes: (mark: string) => readonly string[];
  /** The scenario's `RETRY_MAX_ATTEMPTS`. */
  maxAttempts: number;
  isSkipAllowed: (mark: string, reason: string) => boolean;
};

export const NO_FAULTS: Allowance = {
  duplicates: 0,
  unreached: 0,
  attempts: Number.POSITIVE_INFINITY,
  allowedDeadCodes: () => [],
  maxAttempts: 25,
  isSkipAllowed: () => false,
};

export const collectEvidence = async (environment: Environment): Promise<Evidence> => {
  const { producer, history, outputs, secrets } = environment;
  const accepted = [...producer.accepted.values()];
  const uncertain = [...producer.uncertain.values()];
  return {
    accepted,
    uncertain,
    history,
    secrets,
    lookup: await producer.lookup([...accepted, ...uncertain].map(({ signalId }) => signalId)),
    deadLetters: await producer.deadLetters(),
    outputs: outputs(),
  };
};
