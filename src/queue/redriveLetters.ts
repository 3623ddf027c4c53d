import { setTimeout as wait } from 'node:timers/promises';
import type { Job } from 'bullmq';

import type { DeadLetter } from '../schemas/deadLetter.ts';
import type { InvalidFields } from '../schemas/invalidFields.ts';
import type { Redrive } from '../schemas/signalJob.ts';
import type { Backend } from './backend.ts';
import { type LetterFilter, matches } from './letterFilter.ts';
import { noteInLetter } from './noteInLetter.ts';
import { readLetter } from './readLetter.ts';
import { recheckLetter } from './recheckLetter.ts';
import { createRedriveMatching } from './redriveMatching.ts';
import { createRehearsal, type Rehearsal } from './rehearsal.ts';

export type Redriven =
  | { kind: 'redriven' | 'not-found' | 'busy' }
  /** It would not be accepted today, and is not put back. */
  | { kind: 'invalid'; invalidFields: InvalidFields };

type Asked = Redriven | { kind: 'under way' };

// Where a letter is between states for a moment, look again so often before saying `busy`.
const LOOKS = 40;
const LOOK_EVERY_MS = 50;

type Deps = {
  backend: Pick<Backend, 'jobs'>;
  find: (signalId: string) => Promise<Job | undefined>;
  /** All letters, each once, whatever is put back meanwhile. */
  every: () => AsyncIterable<{ letter: DeadLetter }>;
  now: () => Date;
  pause?: (ms: number) => Promise<unknown>;
};

/** Puts letters back, for somebody who is named in the signal's history. */
export const createRedrive = ({ backend, find, every, now, pause = wait }: Deps) => {
  const request = createRequest(backend);
  const askedBy = (by: string): Redrive => ({ at: now().toISOString(), by });

  const ask = async (signalId: string, by: string): Promise<Asked> => {
    for (let look = 0; look < LOOKS; look += 1) {
      const job = await find(signalId);
      const letter = readLetter(job);
      if (job === undefined || letter === undefined) {
        return { kind: look > 0 ? 'under way' : 'not-found' };
      }
      const invalidFields = recheckLetter(letter, now());
      if (invalidFields !== undefined) return { kind: 'invalid', invalidFields };
      const asked = await request(job, letter, askedBy(by));
      if (asked !== undefined) return { kind: asked };
      await pause(LOOK_EVERY_MS);
    }
    return { kind: 'busy' };
  };

  return {
    /** `by`: the name of an API key, or another name that tells who asks. */
    redrive: async (signalId: string, by: string): Promise<Redriven> => {
      const asked = await ask(signalId, by);
      return asked.kind === 'under way' ? { kind: 'redriven' } : asked;
    },

    /** What `redrive` would say, as far as that can be known. */
    wouldRedrive: async (signalId: string): Promise<Redriven> => {
      const letter = readLetter(await find(signalId));
      if (letter === undefined) return { kind: 'not-found' };
      const invalidFields = recheckLetter(letter, now());
      return invalidFields === undefined
        ? { kind: 'redriven' }
        : { kind: 'invalid', invalidFields };
    },

    redriveMatching: createRedriveMatching({ every, ask, now }),

    /** What `redriveMatching` would do. */
    rehearse: async ({
      limit = Number.POSITIVE_INFINITY,
      ...filter
    }: LetterFilter): Promise<Rehearsal> => {
      const rehearsal = createRehearsal();
      for await (const { letter } of every()) {
        if (!matches(letter, filter)) continue;
        if (rehearsal.wouldRedrive() === limit) break;
        rehearsal.add(letter, recheckLetter(letter, now()));
      }
      return rehearsal.outcome();
    },

    /**
     * Notes who is about to retry a letter by a way that has no place for a name, as the board's own
     * Retry has none. Changes nothing else, and says nothing where there is no such failed letter.
     */
    noteRedriver: async (signalId: string, by: string): Promise<void> => {
      const job = await find(signalId);
      const letter = readLetter(job);
      if (job === undefined || letter === undefined || (await job.getState()) !== 'failed') return;
      await noteInLetter(backend, job, { redriveBy: askedBy(by) });
    },
  };
};

/**
 * A failed letter is retried; the worker on `dead-letters` does the rest, as it does for the board's
 * own Retry. One that no worker has failed yet can't be retried, so it is marked instead.
 */
const createRequest =
  (backend: Pick<Backend, 'jobs'>) =>
  async (
    job: Job,
    letter: DeadLetter,
    redriveBy: Redrive,
  ): Promise<'redriven' | 'under way' | undefined> => {
    switch (await job.getState()) {
      case 'failed':
        // Of two who ask at once one is noted, and one, be it the other, can retry it.
        await noteInLetter(backend, job, { redriveBy });
        return job.retry('failed').then(
          () => 'redriven',
          () => undefined,
        );
      case 'waiting': {
        if (job.attemptsMade > 0 || letter.redriveRequested) return 'under way';
        const isNoted = await noteInLetter(backend, job, { redriveBy, redriveRequested: true });
        return isNoted && (await job.getState()) === 'waiting' ? 'redriven' : undefined;
      }
      default:
        return undefined;
    }
  };
