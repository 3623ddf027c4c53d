import type { DeadLetter } from '../schemas/deadLetter.ts';
import { isObject } from '../schemas/isObject.ts';
import type { SignalLife } from '../schemas/states.ts';
import { type Backend, DEAD_LETTERS } from './backend.ts';
import { everyLetter } from './letterPages.ts';
import { type Trait, traitsOf } from './signalIndex.ts';
import type { SignalLives } from './signalLives.ts';

type Deps = {
  backend: Pick<Backend, 'index' | 'queue'>;
  lives: Pick<SignalLives, 'find'>;
};

/** Finds signals by what they have in common, the one that was accepted last first. */
export const createFindSignals = ({ backend, lives }: Deps) => {
  const gather = async (
    listed: readonly string[],
    has: (letter: DeadLetter) => boolean,
    limit: number,
  ): Promise<SignalLife[]> => {
    const ids = new Set(listed);
    // They stay until somebody deals with them, longer than any index.
    for await (const { letter } of everyLetter(await backend.queue(DEAD_LETTERS))) {
      if (has(letter)) ids.add(letter.signalId);
    }
    const found = await Promise.all([...ids].map(lives.find));
    return found
      .filter((life) => life !== undefined)
      .sort((a, b) => Date.parse(b.acceptedAt) - Date.parse(a.acceptedAt))
      .slice(0, limit);
  };

  return {
    byTrait: async (trait: Trait, limit: number): Promise<SignalLife[]> =>
      gather(await backend.index.find(trait), hasTrait(trait), limit),

    /** Those that one request to SEEK was about. */
    byRequest: async (requestId: string, limit: number): Promise<SignalLife[]> =>
      gather(await backend.index.findRequest(requestId), wasIn(requestId), limit),

    /** By a value of which nobody says what it is. */
    byAny: async (value: string, limit: number): Promise<SignalLife[]> => {
      const traits = [
        { kind: 'application', value } as const,
        { kind: 'position', value } as const,
      ];
      const listed = await Promise.all([
        backend.index.findRequest(value),
        ...traits.map(backend.index.find),
      ]);
      const tests = [wasIn(value), ...traits.map(hasTrait)];
      return gather(listed.flat(), (letter) => tests.some((test) => test(letter)), limit);
    },
  };
};

const hasTrait =
  ({ kind, value }: Trait) =>
  ({ job }: DeadLetter): boolean =>
    isObject(job) &&
    traitsOf(job.signal).some((trait) => trait.kind === kind && trait.value === value);

const wasIn =
  (requestId: string) =>
  ({ attempts }: DeadLetter): boolean =>
    attempts.some((attempt) => attempt.requestId === requestId);

export type FindSignals = ReturnType<typeof createFindSignals>;
