import type { Job } from 'bullmq';
import { type Backend, DEAD_LETTERS, SIGNALS, settlementOf, type Told } from '../queue/backend.ts';
import { memoryOf } from '../queue/dedupeWindow.ts';
import { traced } from '../queue/lookup.ts';
import {
  createFindLetter,
  eachLetterOnce,
  everyLetter,
  type Found,
  readLetter,
} from '../queue/readDeadLetters.ts';
import { subjectOf } from '../queue/searchIndex.ts';
import type { DeadLetter } from '../schemas/deadLetter.ts';
import { type Redrive, redriveLogOf } from '../schemas/signalJob.ts';
import type { SignalLife, SignalSubject } from '../schemas/signalRecord.ts';
import { type LetterFilter, matches } from './filter.ts';
import { createRedrive } from './redrive.ts';

/** A letter as people see it: without the signal, and so without its token. */
export type LetterView = Omit<
  DeadLetter,
  'version' | 'job' | 'burial' | 'redriveRequested' | 'redriveBy'
> &
  SignalSubject & { redriveLog?: Redrive[] };

/** Letters that died of the same, with the reason of the last of them. */
export type LetterCount = {
  code: string;
  typeCode: string;
  count: number;
  firstAt: string;
  lastAt: string;
  reason: string;
};

export type Discarded = 'discarded' | 'not-found' | 'busy';

type Deps = { backend: Backend; now?: () => Date };

/** What people do with dead letters. */
export const createDeadLetters = ({ backend, now = () => new Date() }: Deps) => {
  const letters = () => backend.queue(DEAD_LETTERS);

  const find = createFindLetter(backend);

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

  /** `by`: the name of an API key, or another name that tells who lets it go. */
  const discard = async (signalId: string, reason: string, by?: string): Promise<Discarded> => {
    const job = await find(signalId);
    const letter = readLetter(job);
    if (job === undefined || letter === undefined) return 'not-found';
    const { typeCode, acceptedAt, attempts, redrives, burial } = letter;
    const memory = memoryOf(signalId, letter.job, Date.parse(acceptedAt));
    // The undertaker may have been killed between its two steps: the job would be buried again.
    await backend.jobs.removeFinished(SIGNALS, 'failed', burial);
    const life: SignalLife = {
      ...{ signalId, typeCode, state: 'skipped', acceptedAt, attempts, redrives },
      ...(reason === ERASED ? {} : subjectOf(letter.job)),
      ...redriveLogOf(letter.job),
      ...traced(letter.job),
      reason: discardReason(now(), reason, by),
    };
    const isRemoved = await removeLetter(job, { life, memory });
    if (!isRemoved) return 'busy';
    const told = settlementOf(letter.job, { reason: life.reason, at: now().getTime() });
    await backend.ledger.settle([{ signalId, outcome: 'skipped', ...told }]);
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

  const every = async function* (): AsyncGenerator<Found> {
    yield* eachLetterOnce(await letters());
  };

  return { get, list, count, discard, ...createRedrive({ backend, find, every, now }) };
};

export type DeadLetters = ReturnType<typeof createDeadLetters>;

const toView = ({
  version,
  job,
  burial,
  redriveRequested,
  redriveBy,
  ...view
}: DeadLetter): LetterView => ({ ...view, ...subjectOf(job), ...redriveLogOf(job) });

/** Why signals of an application that was erased are let go of, from the queue or the dead letters. */
export const ERASED = 'application-erased';

const DISCARDED = /^discarded at \S+(?: by .+?)?: /;

/** As it is told of a signal that was discarded. */
export const discardReason = (at: Date, reason: string, by?: string): string =>
  `discarded at ${at.toISOString()}${by === undefined ? '' : ` by ${by}`}: ${reason}`;

/** Whether somebody decided so who may think better of it: not where it was to be erased. */
export const mayComeBack = (reason = ''): boolean =>
  DISCARDED.test(reason) && reason.replace(DISCARDED, '') !== ERASED;
