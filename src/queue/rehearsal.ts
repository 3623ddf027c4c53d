import type { DeadLetter } from '../schemas/deadLetter.ts';
import type { InvalidFields } from '../schemas/invalidFields.ts';

/** What a redrive would do. Holds no token. */
export type Rehearsal = {
  wouldRedrive: number;
  /** Would not be accepted today, and would stay. */
  invalid: number;
  /** Why they would, the most frequent first. */
  refusals: Refusal[];
  /** Of those that would go, the newest few. */
  samples: Sample[];
};

type Refusal = { pointer: string; message: string; count: number; example: string };
type Sample = Pick<DeadLetter, 'signalId' | 'typeCode' | 'code' | 'reason' | 'diedAt'>;

const MOST_SAMPLES = 5;
const MOST_REFUSALS = 20;

/** Adds up what is found out of one letter after the other. */
export const createRehearsal = () => {
  const counts = { wouldRedrive: 0, invalid: 0 };
  const refusals = new Map<string, Refusal>();
  const samples: Sample[] = [];

  const refuse = (invalidFields: InvalidFields, example: string): void => {
    counts.invalid += 1;
    for (const [pointer, message] of Object.entries(invalidFields)) {
      const name = JSON.stringify([pointer, message]);
      const known = refusals.get(name) ?? { pointer, message, count: 0, example };
      refusals.set(name, { ...known, count: known.count + 1 });
    }
  };

  return {
    wouldRedrive: (): number => counts.wouldRedrive,
    add: (letter: Sample, invalidFields: InvalidFields | undefined): void => {
      const { signalId, typeCode, code, reason, diedAt } = letter;
      if (invalidFields !== undefined) {
        refuse(invalidFields, signalId);
        return;
      }
      counts.wouldRedrive += 1;
      if (samples.length < MOST_SAMPLES) samples.push({ signalId, typeCode, code, reason, diedAt });
    },
    outcome: (): Rehearsal => ({
      ...counts,
      refusals: [...refusals.values()].sort((a, b) => b.count - a.count).slice(0, MOST_REFUSALS),
      samples,
    }),
  };
};
