import type { Job } from 'bullmq';

import { type DeadLetter, DeadLetterSchema } from '../schemas/deadLetter.ts';

/** The letter that a job of `dead-letters` holds; `undefined` where it is none of ours. */
export const readLetter = (job: Job | undefined): DeadLetter | undefined =>
  DeadLetterSchema.safeParse(job?.data).data;
