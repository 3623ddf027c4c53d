import type { Job } from 'bullmq';

import type { DeadLetter } from '../schemas/deadLetter.ts';
import { isObject } from '../schemas/isObject.ts';
import { type Backend, DEAD_LETTERS } from './backend.ts';

/** What is asked of a letter, and by whom. */
type Notes = Pick<DeadLetter, 'redriveBy' | 'redriveRequested'>;

/**
 * Writes into a letter while it is as it was read: one that took up a newer burial of its signal since
 * would be overwritten with the older. `false`: it is not, or it has gone.
 */
export const noteInLetter = (
  { jobs }: Pick<Backend, 'jobs'>,
  { id = '', data }: Job,
  notes: Notes,
): Promise<boolean> =>
  jobs.swap(
    DEAD_LETTERS,
    { id, text: JSON.stringify(data) },
    { ...(isObject(data) ? data : {}), ...notes },
  );
