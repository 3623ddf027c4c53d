import type { Job } from 'bullmq';

import { type DeadLetter, DeadLetterSchema } from '../schemas/deadLetter.ts';
import { type Backend, DEAD_LETTERS } from './backend.ts';

/** `undefined` where it is none of ours. */
export const parseLetter = (data: unknown): DeadLetter | undefined =>
  DeadLetterSchema.safeParse(data).data;

/** The letter that a job of `dead-letters` holds. */
export const readLetter = (job: Job | undefined): DeadLetter | undefined => parseLetter(job?.data);

/** By its state first: a name that is in no list may be that of a key of the queue's own. */
export const createFindLetter =
  (backend: Pick<Backend, 'queue'>) =>
  async (signalId: string): Promise<Job | undefined> => {
    const queue = await backend.queue(DEAD_LETTERS);
    const state = await queue.getJobState(signalId);
    return state === 'unknown' ? undefined : queue.getJob(signalId);
  };
