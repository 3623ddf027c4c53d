import type { JobType } from 'bullmq';

import type { DeadLetter } from '../schemas/deadLetter.ts';
import type { JobQueue } from './backend.ts';
import { readLetter } from './readLetter.ts';

const PAGE = 100;

/** The form of a position. */
export const CURSOR = /^[nf]\d{15}\../;

/** A letter, and where it stands: the later it died, the greater. */
export type Found = { letter: DeadLetter; position: string };

/** Newest first: those that no worker has failed yet, then the failed ones. */
export const everyLetter = async function* (queue: JobQueue): AsyncGenerator<Found> {
  const unfailed: Found[] = [];
  for await (const found of pages(queue, ['waiting', 'active', 'delayed'], 'n'))
    unfailed.push(found);
  yield* unfailed.sort((a, b) => (a.position < b.position ? 1 : -1));
  yield* pages(queue, ['failed'], 'f');
};

const pages = async function* (queue: JobQueue, states: JobType[], rank: 'n' | 'f') {
  let at = 0;
  let ofOneTime: Found[] = [];
  // Letters of the same millisecond come in any order; a cursor needs one.
  const sorted = () => ofOneTime.sort((a, b) => (a.position < b.position ? 1 : -1));

  for (let start = 0; ; start += PAGE) {
    const ids = await queue.getRanges(states, start, start + PAGE - 1, false);
    for (const job of await Promise.all(ids.map((id) => queue.getJob(id).catch(() => undefined)))) {
      const letter = readLetter(job);
      if (job === undefined || letter === undefined) continue;
      const time = job.finishedOn ?? job.timestamp;
      if (time !== at) {
        yield* sorted();
        ofOneTime = [];
        at = time;
      }
      const position = `${rank}${String(time).padStart(15, '0')}.${letter.signalId}`;
      ofOneTime.push({ letter, position });
    }
    if (ids.length === 0) break;
  }
  yield* sorted();
};
