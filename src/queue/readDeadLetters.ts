import type { Job, JobType } from 'bullmq';
import { type DeadLetter, DeadLetterSchema } from '../schemas/deadLetter.ts';
import { type Backend, DEAD_LETTERS, type JobQueue } from './backend.ts';

const PAGE_SIZE = 100;

// A new or redriven dead letter, until a worker has failed or completed its job.
const UNFAILED: JobType[] = ['waiting', 'active', 'delayed'];

/** Sorts unfailed dead letters before failed ones. */
type Rank = 'n' | 'f';

/** The form of a `position`. */
export const CURSOR_PATTERN = /^[nf]\d{15}\../;

/** `position` orders dead letters: within a rank, a later death has a greater position. */
export type FoundDeadLetter = { deadLetter: DeadLetter; position: string };

/** Yields all dead letters: first those that no worker has failed yet, then the failed ones; newest first. */
export const listDeadLetters = async function* (queue: JobQueue): AsyncGenerator<FoundDeadLetter> {
  // A dead letter that fails during the listing appears again, and moves others to the next page.
  const seen = new Set<string>();
  const isFirst = ({ deadLetter: { signalId } }: FoundDeadLetter) =>
    !seen.has(signalId) && seen.add(signalId);
  const unfailed: FoundDeadLetter[] = [];
  for await (const found of listState(queue, UNFAILED, 'n')) {
    if (isFirst(found)) unfailed.push(found);
  }
  yield* unfailed.sort(newestFirst);
  for await (const found of listState(queue, ['failed'], 'f')) if (isFirst(found)) yield found;
};

// A removal during the first pass can move a dead letter to a page that was read already. The second
// pass finds it.
const PASSES = 2;

/**
 * Yields each dead letter exactly once, in no particular order, also while the caller removes dead
 * letters.
 */
export const scanDeadLetters = async function* (queue: JobQueue): AsyncGenerator<FoundDeadLetter> {
  const seen = new Set<string>();
  const scans: [JobType[], Rank][] = [
    [UNFAILED, 'n'],
    [['failed'], 'f'],
  ];
  for (const [states, rank] of scans) {
    for (let pass = 0; pass < PASSES; pass += 1) {
      for (let start = 0; ; ) {
        const ids = await queue.getRanges(states, start, start + PAGE_SIZE - 1, false);
        if (ids.length === 0) break;
        const unseen = ids.filter((id) => !seen.has(id));
        // Reads the same page until it holds nothing new, because removals move others on to it.
        if (unseen.length === 0) start += PAGE_SIZE;
        for (const id of unseen) seen.add(id);
        for (const job of await readJobs(queue, unseen)) {
          const found = toFound(job, rank);
          if (found !== undefined) yield found;
        }
      }
    }
  }
};

const readJobs = (queue: JobQueue, ids: string[]): Promise<(Job | undefined)[]> =>
  Promise.all(ids.map((id) => readJob(queue, id)));

/** `undefined`: the job is gone, or its data cannot be parsed. Rejects if the queue does not answer. */
const readJob = async (queue: JobQueue, id: string): Promise<Job | undefined> => {
  try {
    return await queue.getJob(id);
  } catch {
    // Rejects if the queue is unreachable: only then is the error not that of the job.
    await queue.getJobState(id);
    return queue.getJob(id).catch(() => undefined);
  }
};

const timeOf = ({ finishedOn, timestamp }: Job): number => finishedOn ?? timestamp;

const newestFirst = (a: FoundDeadLetter, b: FoundDeadLetter): number =>
  a.position < b.position ? 1 : -1;

const toFound = (job: Job | undefined, rank: Rank): FoundDeadLetter | undefined => {
  const deadLetter = readDeadLetter(job);
  if (job === undefined || deadLetter === undefined) return undefined;
  return {
    deadLetter,
    position: `${rank}${String(timeOf(job)).padStart(15, '0')}.${deadLetter.signalId}`,
  };
};

const listState = async function* (queue: JobQueue, states: JobType[], rank: Rank) {
  let time = 0;
  // BullMQ does not order jobs of the same millisecond, but a cursor needs an order.
  let sameTime: FoundDeadLetter[] = [];

  for (let start = 0; ; start += PAGE_SIZE) {
    const ids = await queue.getRanges(states, start, start + PAGE_SIZE - 1, false);
    for (const job of await readJobs(queue, ids)) {
      const found = toFound(job, rank);
      if (job === undefined || found === undefined) continue;
      if (timeOf(job) !== time) {
        yield* sameTime.sort(newestFirst);
        sameTime = [];
        time = timeOf(job);
      }
      sameTime.push(found);
    }
    if (ids.length === 0) break;
  }
  yield* sameTime.sort(newestFirst);
};

/** `undefined`: the data is not a dead letter. */
export const parseDeadLetter = (data: unknown): DeadLetter | undefined =>
  DeadLetterSchema.safeParse(data).data;

/** The dead letter that a job of `dead-letters` holds. */
export const readDeadLetter = (job: Pick<Job, 'data'> | undefined): DeadLetter | undefined =>
  parseDeadLetter(job?.data);

/** Reads the state first, because an id such as `meta` is the name of one of BullMQ's own keys. */
export const createFindDeadLetter =
  (backend: Pick<Backend, 'queue'>) =>
  async (signalId: string): Promise<Job | undefined> => {
    const queue = await backend.queue(DEAD_LETTERS);
    const state = await queue.getJobState(signalId);
    return state === 'unknown' ? undefined : queue.getJob(signalId);
  };
