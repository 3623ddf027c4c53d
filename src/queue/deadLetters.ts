import type { Job } from 'bullmq';

import type { DeadLetter } from '../schemas/deadLetter.ts';
import { isObject } from '../schemas/isObject.ts';
import type { SignalLife } from '../schemas/states.ts';
import { type Backend, DEAD_LETTERS, SIGNALS, type Told } from './backend.ts';
import { everyLetter, type Found } from './letterPages.ts';
import { memoryOf } from './memory.ts';
import { readLetter } from './readLetter.ts';

export type LetterFilter = {
  code?: string | undefined;
  type?: string | undefined;
  /** Died at or after. */
  since?: Date | undefined;
  /** Died before. */
  until?: Date | undefined;
  /** Of signals that name this application. */
  applicationId?: string | undefined;
  /** Stands somewhere in its id, type, code or reason, in whatever case. */
  text?: string | undefined;
  limit?: number | undefined;
};

/** A letter as people see it: without the signal, and so without its token. */
export type LetterView = Omit<DeadLetter, 'version' | 'job' | 'burial' | 'redriveRequested'>;

/** Letters that died of the same, with the reason of the last of them. */
export type LetterCount = {
  code: string;
  typeCode: string;
  count: number;
  firstAt: string;
  lastAt: string;
  reason: string;
};

export type Redriven = 'redriven' | 'not-found' | 'busy';
export type Discarded = 'discarded' | 'not-found' | 'busy';

// Where a letter is between states for a moment, look again so often before saying `busy`.
const LOOKS = 40;
const LOOK_EVERY_MS = 50;

type Deps = { backend: Backend; now?: () => Date; pause?: (ms: number) => Promise<unknown> };

/** What people do with dead letters. */
export const createDeadLetters = ({ backend, now = () => new Date(), pause = wait }: Deps) => {
  const letters = () => backend.queue(DEAD_LETTERS);

  /** By its state first: a name that is in no list may be that of a key of the queue's own. */
  const find = async (signalId: string): Promise<Job | undefined> => {
    const queue = await letters();
    const state = await queue.getJobState(signalId);
    return state === 'unknown' ? undefined : queue.getJob(signalId);
  };

  const get = async (signalId: string): Promise<LetterView | undefined> => {
    const letter = readLetter(await find(signalId));
    return letter === undefined ? undefined : toView(letter);
  };

  const matching = async function* (filter: LetterFilter): AsyncGenerator<Found> {
    for await (const found of everyLetter(await letters())) {
      if (matches(found.letter, filter)) yield found;
    }
  };

  const list = async (filter: LetterFilter & { cursor?: string | undefined }) => {
    const { limit = 50, cursor } = filter;
    const deadLetters: LetterView[] = [];
    let last: string | undefined;
    for await (const { letter, position } of matching(filter)) {
      if (cursor !== undefined && position >= cursor) continue;
      if (deadLetters.length === limit) return { deadLetters, nextCursor: last };
      deadLetters.push(toView(letter));
      last = position;
    }
    return { deadLetters };
  };

  const count = async ({ limit, ...filter }: LetterFilter): Promise<LetterCount[]> => {
    const counts = new Map<string, LetterCount>();
    for await (const { letter } of matching(filter)) {
      const { code, typeCode, diedAt, reason } = letter;
      const name = JSON.stringify([code, typeCode]);
      const known = counts.get(name);
      // The newest come first.
      if (known === undefined) {
        counts.set(name, { code, typeCode, count: 1, firstAt: diedAt, lastAt: diedAt, reason });
      } else {
        counts.set(name, { ...known, count: known.count + 1, firstAt: diedAt });
      }
    }
    return [...counts.values()].sort((a, b) => b.count - a.count);
  };

  const ask = async (signalId: string): Promise<Redriven | 'under way'> => {
    for (let look = 0; look < LOOKS; look += 1) {
      const job = await find(signalId);
      const letter = readLetter(job);
      if (job === undefined || letter === undefined) return look > 0 ? 'under way' : 'not-found';
      const asked = await requestRedrive(job, letter);
      if (asked !== undefined) return asked;
      await pause(LOOK_EVERY_MS);
    }
    return 'busy';
  };

  const redrive = async (signalId: string): Promise<Redriven> => {
    const asked = await ask(signalId);
    return asked === 'under way' ? 'redriven' : asked;
  };

  const redriveMatching = async (filter: LetterFilter): Promise<number> => {
    const ids: string[] = [];
    for await (const { letter } of matching(filter)) {
      if (ids.length === (filter.limit ?? Number.POSITIVE_INFINITY)) break;
      ids.push(letter.signalId);
    }
    let redriven = 0;
    for (const id of ids) if ((await ask(id)) === 'redriven') redriven += 1;
    return redriven;
  };

  const discard = async (signalId: string, reason: string): Promise<Discarded> => {
    const job = await find(signalId);
    const letter = readLetter(job);
    if (job === undefined || letter === undefined) return 'not-found';
    const { typeCode, acceptedAt, attempts, redrives, burial } = letter;
    const memory = memoryOf(signalId, letter.job, Date.parse(acceptedAt));
    // The undertaker may have been killed between its two steps: the job would be buried again.
    await backend.jobs.removeFinished(SIGNALS, 'failed', burial);
    const life: SignalLife = {
      ...{ signalId, typeCode, state: 'skipped', acceptedAt, attempts, redrives },
      reason: `discarded at ${now().toISOString()}: ${reason}`,
    };
    const isRemoved = await removeLetter(job, { life, memory });
    if (!isRemoved) return 'busy';
    await backend.ledger.settle([{ signalId, outcome: 'skipped' }]);
    return 'discarded';
  };

  /** Only a letter that stays where it is: one that goes back to the queue is let go. */
  const removeLetter = async (job: Job, told: Told): Promise<boolean> => {
    const { id: jobId = '', finishedOn: finishedAt } = job;
    if ((await (await backend.queue(SIGNALS)).getJob(jobId)) !== undefined) return false;
    if (finishedAt !== undefined) {
      return backend.jobs.removeFinished(DEAD_LETTERS, 'failed', { jobId, finishedAt }, told);
    }
    const isNew = job.attemptsMade === 0 && !readLetter(job)?.redriveRequested;
    return isNew && backend.jobs.removeWaiting(DEAD_LETTERS, jobId, told);
  };

  return { get, list, count, redrive, redriveMatching, discard };
};

export type DeadLetters = ReturnType<typeof createDeadLetters>;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const toView = ({ version, job, burial, redriveRequested, ...view }: DeadLetter): LetterView =>
  view;

const matches = (letter: DeadLetter, filter: LetterFilter): boolean => {
  const { code, type, since, until, applicationId, text } = filter;
  return (
    (code === undefined || letter.code === code) &&
    (type === undefined || letter.typeCode === type) &&
    (applicationId === undefined || applicationOf(letter) === applicationId) &&
    (text === undefined || holds(letter, text)) &&
    (since === undefined || Date.parse(letter.diedAt) >= since.getTime()) &&
    (until === undefined || Date.parse(letter.diedAt) < until.getTime())
  );
};

const applicationOf = ({ job }: DeadLetter): unknown =>
  isObject(job) && isObject(job.signal) ? job.signal.applicationId : undefined;

const holds = ({ signalId, typeCode, code, reason }: DeadLetter, text: string): boolean =>
  [signalId, typeCode, code, reason].join('\n').toLowerCase().includes(text.toLowerCase());

/**
 * A failed letter is retried; the worker on `dead-letters` does the rest, as it does for the board's
 * own Retry. One that no worker has failed yet can't be retried, so it is marked instead.
 */
const requestRedrive = async (
  job: Job,
  letter: DeadLetter,
): Promise<'redriven' | 'under way' | undefined> => {
  switch (await job.getState()) {
    case 'failed':
      return job.retry('failed').then(
        () => 'redriven',
        () => undefined,
      );
    case 'waiting':
      if (job.attemptsMade > 0 || letter.redriveRequested) return 'under way';
      return job.updateData({ ...letter, redriveRequested: true }).then(
        async () => ((await job.getState()) === 'waiting' ? 'redriven' : undefined),
        () => undefined,
      );
    default:
      return undefined;
  }
};
