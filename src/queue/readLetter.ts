import type { Job } from 'bullmq';

import { type DeadLetter, DeadLetterSchema } from '../schemas/deadLetter.ts';

/** What a job holds; anything may lie in Redis, and what is not even JSON is nothing of ours. */
export const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** `undefined` where it is none of ours. */
export const parseLetter = (data: unknown): DeadLetter | undefined =>
  DeadLetterSchema.safeParse(data).data;

/** The letter that a job of `dead-letters` holds. */
export const readLetter = (job: Job | undefined): DeadLetter | undefined => parseLetter(job?.data);
