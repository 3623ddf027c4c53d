import type { DeadLetter } from '../schemas/deadLetter.ts';
import { isObject } from '../schemas/isObject.ts';
import type { SignalLife } from '../schemas/states.ts';
import { type Backend, DEAD_LETTERS } from './backend.ts';
import { everyLetter } from './letterPages.ts';
import { type Trait, traitsOf } from './signalIndex.ts';
import type { SignalLives } from './signalLives.ts';

// One position may have as many dead letters as there are.
const AT_ONCE = 100;

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
    const all = [...ids];
    const newest: SignalLife[] = [];
    for (let at = 0; at < all.length; at += AT_ONCE) {
      const found = await Promise.all(all.slice(at, at + AT_ONCE).map(lives.find));
      newest.push(...found.filter((life) => life !== undefined));
      newest.sort((a, b) => Date.parse(b.acceptedAt) - Date.parse(a.acceptedAt)).splice(limit);
    }
    return newest;
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
