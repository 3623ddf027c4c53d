import type { Job } from 'bullmq';

import type { DeadLetter } from '../schemas/deadLetter.ts';
import { isObject } from '../schemas/isObject.ts';
import type { Redrive } from '../schemas/signalJob.ts';
import { type Backend, DEAD_LETTERS } from './backend.ts';
import type { LetterFilter } from './letterFilter.ts';
import type { Found } from './letterPages.ts';
import { readLetter } from './readLetter.ts';

export type Redriven = 'redriven' | 'not-found' | 'busy';

// Where a letter is between states for a moment, look again so often before saying `busy`.
const LOOKS = 40;
const LOOK_EVERY_MS = 50;

type Deps = {
  backend: Pick<Backend, 'jobs'>;
  find: (signalId: string) => Promise<Job | undefined>;
  matching: (filter: LetterFilter) => AsyncIterable<Found>;
  now: () => Date;
  pause?: (ms: number) => Promise<unknown>;
};

/** Puts letters back, for somebody who is named in the signal's history. */
export const createRedrive = ({ backend, find, matching, now, pause = wait }: Deps) => {
  const request = createRequest(backend);
  const askedBy = (by: string): Redrive => ({ at: now().toISOString(), by });

  const ask = async (signalId: string, by: string): Promise<Redriven | 'under way'> => {
    for (let look = 0; look < LOOKS; look += 1) {
      const job = await find(signalId);
      const letter = readLetter(job);
      if (job === undefined || letter === undefined) return look > 0 ? 'under way' : 'not-found';
      const asked = await request(job, letter, askedBy(by));
      if (asked !== undefined) return asked;
      await pause(LOOK_EVERY_MS);
    }
    return 'busy';
  };

  return {
    /** `by`: the name of an API key, or another name that tells who asks. */
    redrive: async (signalId: string, by: string): Promise<Redriven> => {
      const asked = await ask(signalId, by);
      return asked === 'under way' ? 'redriven' : asked;
    },

    redriveMatching: async (filter: LetterFilter, by: string): Promise<number> => {
      const ids: string[] = [];
      for await (const { letter } of matching(filter)) {
        if (ids.length === (filter.limit ?? Number.POSITIVE_INFINITY)) break;
        ids.push(letter.signalId);
      }
      let redriven = 0;
      for (const id of ids) if ((await ask(id, by)) === 'redriven') redriven += 1;
      return redriven;
    },

    /**
     * Notes who is about to retry a letter by a way that has no place for a name, as the board's own
     * Retry has none. Changes nothing else, and says nothing where there is no such failed letter.
     */
    noteRedriver: async (signalId: string, by: string): Promise<void> => {
      const job = await find(signalId);
      const letter = readLetter(job);
      if (job === undefined || letter === undefined || (await job.getState()) !== 'failed') return;
      await note(backend, job, letter, { redriveBy: askedBy(by) });
    },
  };
};

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Writes into a letter while it is as it was read: one that took up a newer burial of its signal since
 * would be overwritten with the older. `false`: it is not, or it has gone.
 */
const note = (
  { jobs }: Pick<Backend, 'jobs'>,
  job: Job,
  letter: DeadLetter,
  change: Partial<DeadLetter>,
): Promise<boolean> => {
  const stored = { id: job.id ?? '', text: JSON.stringify(job.data) };
  const data = isObject(job.data) ? job.data : letter;
  return jobs.swap(DEAD_LETTERS, stored, { ...data, ...change });
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
        await note(backend, job, letter, { redriveBy });
        return job.retry('failed').then(
          () => 'redriven',
          () => undefined,
        );
      case 'waiting': {
        if (job.attemptsMade > 0 || letter.redriveRequested) return 'under way';
        const isNoted = await note(backend, job, letter, { redriveBy, redriveRequested: true });
        return isNoted && (await job.getState()) === 'waiting' ? 'redriven' : undefined;
      }
      default:
        return undefined;
    }
  };
