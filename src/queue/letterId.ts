import { QueueKeys } from 'bullmq';

import { DEAD_LETTERS } from './backend.ts';

/** BullMQ refuses ids that are whole numbers, which it gives itself to jobs that were added without. */
export const letterIdOf = (jobId: string): string => (/^\d+$/.test(jobId) ? `job-${jobId}` : jobId);

const MOST_CHARACTERS = 1_000;
// With one colon it could be the name of another job's lock; with two BullMQ once named jobs itself.
const PARTS: ReadonlySet<number> = new Set([1, 3]);
// Under these names a queue keeps what is no job.
const TAKEN: ReadonlySet<string> = new Set(Object.keys(new QueueKeys().getKeys(DEAD_LETTERS)));

/** As BullMQ wants ids, so that a letter may be added under it that did not come from our own queue. */
export const isLetterId = (id: string): boolean =>
  id.length <= MOST_CHARACTERS &&
  !TAKEN.has(id) &&
  PARTS.has(id.split(':').length) &&
  String(Number.parseInt(id, 10)) !== id;
