import { attemptRules } from './attemptRules.ts';
import type { Evidence, Terms } from './evidence.ts';
import { about, type Finding, merge } from './finding.ts';
import { placeRules } from './placeRules.ts';

/** Holds what became of the signals against what was promised. */
export const check = (evidence: Evidence, terms: Terms): Finding[] =>
  merge([
    ...placeRules(evidence, terms),
    ...attemptRules(evidence, terms),
    duplicates(evidence, terms),
    strangers(evidence),
    ...leaks(evidence),
  ]);

const duplicates = ({ history, accepted, unsure }: Evidence, terms: Terms) => {
  const doubled = history.duplicates();
  const times = doubled.reduce((sum, one) => sum + one.times, 0);
  if (times <= terms.duplicates) return undefined;
  const ids = new Map([...accepted, ...unsure].map(({ mark, signalId }) => [mark, signalId]));
  const what = `${times} duplicates, where the faults explain ${terms.duplicates}`;
  return about(
    what,
    doubled.map(({ mark }) => ids.get(mark) ?? mark),
  );
};

const strangers = ({ history, accepted, unsure }: Evidence) => {
  const offered = new Set([...accepted, ...unsure].map(({ mark }) => mark));
  return about(
    'arrived at SEEK, but was never offered',
    history.marks().filter((mark) => !offered.has(mark)),
  );
};

const leaks = ({ outputs, secrets }: Evidence) =>
  secrets.flatMap((secret, index) =>
    outputs
      .filter(({ text }) => text.includes(secret))
      // Not the secret itself: this report may end up in somebody's log.
      .map(({ name }) => ({
        what: `secret ${index + 1} stands in the log of ${name}`,
        signalIds: [],
      })),
  );
