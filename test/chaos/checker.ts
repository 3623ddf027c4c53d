import { attemptRules } from './attemptRules.ts';
import type { Allowance, Evidence } from './evidence.ts';
import { stateRules } from './stateRules.ts';
import { mergeViolations, type Violation, violationOf } from './violation.ts';

/** Compares what happened to the signals with what the dispatcher promises. */
export const check = (evidence: Evidence, allowance: Allowance): Violation[] =>
  mergeViolations([
    ...stateRules(evidence, allowance),
    ...attemptRules(evidence, allowance),
    findDuplicates(evidence, allowance),
    findUnknownSignals(evidence),
    ...findLeaks(evidence),
  ]);

const findDuplicates = ({ history, accepted, uncertain }: Evidence, allowance: Allowance) => {
  const duplicates = history.duplicates();
  const count = duplicates.reduce((sum, { times }) => sum + times, 0);
  if (count <= allowance.duplicates) return undefined;
  const ids = new Map([...accepted, ...uncertain].map(({ mark, signalId }) => [mark, signalId]));
  return violationOf(
    `${count} duplicates; the faults explain ${allowance.duplicates}`,
    duplicates.map(({ mark }) => ids.get(mark) ?? mark),
  );
};

const findUnknownSignals = ({ history, accepted, uncertain }: Evidence) => {
  const sent = new Set([...accepted, ...uncertain].map(({ mark }) => mark));
  return violationOf(
    'arrived at SEEK, but no producer sent it',
    history.marks().filter((mark) => !sent.has(mark)),
  );
};

const findLeaks = ({ outputs, secrets }: Evidence) =>
  secrets.flatMap((secret, index) =>
    outputs
      .filter(({ text }) => text.includes(secret))
      // Gives the secret's number only: this report may end up in a log.
      .map(({ name }) => ({
        what: `secret ${index + 1} is in the log of ${name}`,
        signalIds: [],
      })),
  );
