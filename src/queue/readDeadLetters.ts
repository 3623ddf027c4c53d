import type { Job, JobType } from 'bullmq';
import { type DeadLetter, DeadLetterSchema } from '../schemas/deadLetter.ts';
import { type Backend, DEAD_LETTERS, type JobQueue } from './backend.ts';

const PAGE = 100;
const UNFAILED: JobType[] = ['waiting', 'active', 'delayed'];

/** The form of a position. */
export const CURSOR = /^[nf]\d{15}\../;

/** A dead letter, and where it stands: the later it died, the greater. */
export type Found = { deadLetter: DeadLetter; position: string };

/** Newest first: those that no worker has failed yet, then the failed ones. */
export const allDeadLetters = async function* (queue: JobQueue): AsyncGenerator<Found> {
  // What is failed meanwhile turns up once more, and moves others on to the page that is read next.
  const met = new Set<string>();
  const unmet = ({ deadLetter: { signalId } }: Found) => !met.has(signalId) && met.add(signalId);
  const unfailed: Found[] = [];
  for await (const found of pages(queue, UNFAILED, 'n')) if (unmet(found)) unfailed.push(found);
  yield* unfailed.sort((a, b) => (a.position < b.position ? 1 : -1));
  for await (const found of pages(queue, ['failed'], 'f')) if (unmet(found)) yield found;
};

// What moved up while others went, behind our place in the list, is met on the second.
const ROUNDS = 2;

/** The same for who makes dead letters go as they come: none is passed over for it, and none comes twice. */
export const allDeadLettersOnce = async function* (queue: JobQueue): AsyncGenerator<Found> {
  const seen = new Set<string>();
  for (const [states, rank] of [
    [UNFAILED, 'n'],
    [['failed'], 'f'],
  ] as const) {
    for (let round = 0; round < ROUNDS; round += 1) {
      for (let start = 0; ; ) {
        const ids = await queue.getRanges([...states], start, start + PAGE - 1, false);
        if (ids.length === 0) break;
        const fresh = ids.filter((id) => !seen.has(id));
        // A page is read until there is nothing new on it: those that go make room for others.
        if (fresh.length === 0) start += PAGE;
        for (const id of fresh) seen.add(id);
        for (const job of await readJobs(queue, fresh)) {
          const found = toFound(job, rank);
          if (found !== undefined) yield found;
        }
      }
    }
  }
};

const readJobs = (queue: JobQueue, ids: string[]): Promise<(Job | undefined)[]> =>
  Promise.all(ids.map((id) => readJob(queue, id)));

/** `undefined`: it has gone, or nobody could read it. Where it is the queue that is away, it rejects. */
const readJob = async (queue: JobQueue, id: string): Promise<Job | undefined> => {
  try {
    return await queue.getJob(id);
  } catch {
    await queue.getJobState(id);
    return queue.getJob(id).catch(() => undefined);
  }
};

const timeOf = ({ finishedOn, timestamp }: Job): number => finishedOn ?? timestamp;

const toFound = (job: Job | undefined, rank: 'n' | 'f'): Found | undefined => {
  const deadLetter = readDeadLetter(job);
  if (job === undefined || deadLetter === undefined) return undefined;
  return {
    deadLetter,
    position: `${rank}${String(timeOf(job)).padStart(15, '0')}.${deadLetter.signalId}`,
  };
};

const pages = async function* (queue: JobQueue, states: JobType[], rank: 'n' | 'f') {
  let at = 0;
  let ofOneTime: Found[] = [];
  // Letters of the same millisecond come in any order; a cursor needs one.
  const sorted = () => ofOneTime.sort((a, b) => (a.position < b.position ? 1 : -1));

  for (let start = 0; ; start += PAGE) {
    const ids = await queue.getRanges(states, start, start + PAGE - 1, false);
    for (const job of await readJobs(queue, ids)) {
      const found = toFound(job, rank);
      if (job === undefined || found === undefined) continue;
      const time = timeOf(job);
      if (time !== at) {
        yield* sorted();
        ofOneTime = [];
        at = time;
      }
      ofOneTime.push(found);
    }
    if (ids.length === 0) break;
  }
  yield* sorted();
};

/** `undefined` where it is none of ours. */
export const parseDeadLetter = (data: unknown): DeadLetter | undefined =>
  DeadLetterSchema.safeParse(data).data;

/** The dead letter that a job of `dead-letters` holds. */
export const readDeadLetter = (job: Job | undefined): DeadLetter | undefined =>
  parseDeadLetter(job?.data);

/** By its state first: a name that is in no list may be that of a key of the queue's own. */
export const createFindDeadLetter =
  (backend: Pick<Backend, 'queue'>) =>
  async (signalId: string): Promise<Job | undefined> => {
    const queue = await backend.queue(DEAD_LETTERS);
    const state = await queue.getJobState(signalId);
    return state === 'unknown' ? undefined : queue.getJob(signalId);
  };
