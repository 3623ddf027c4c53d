import type { Job } from 'bullmq';
import {
  type Backend,
  DEAD_LETTERS,
  outcomeEventFor,
  SIGNALS,
  type SkipRecord,
} from '../queue/backend.ts';
import { dedupeRecordOf } from '../queue/dedupeWindow.ts';
import { withTraceId } from '../queue/lookup.ts';
import {
  allDeadLetters,
  allDeadLettersOnce,
  createFindDeadLetter,
  type Found,
  readDeadLetter,
} from '../queue/readDeadLetters.ts';
import { referencesOf } from '../queue/searchIndex.ts';
import type { DeadLetter } from '../schemas/deadLetter.ts';
import { type Redrive, redriveLogOf } from '../schemas/signalJob.ts';
import type { SignalRecord, SignalReferences } from '../schemas/signalRecord.ts';
import { type DeadLetterFilter, matches } from './filter.ts';
import { createRedrive } from './redrive.ts';

/** A dead letter as people see it: without the signal, and so without its token. */
export type DeadLetterView = Omit<
  DeadLetter,
  'version' | 'job' | 'failedJob' | 'redriveRequested' | 'redriveBy'
> &
  SignalReferences & { redriveLog?: Redrive[] };

/** Dead letters that died of the same, with the reason of the last of them. */
export type DeadLetterCount = {
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
  const deadLetters = () => backend.queue(DEAD_LETTERS);

  const find = createFindDeadLetter(backend);

  const get = async (signalId: string): Promise<DeadLetterView | undefined> => {
    const deadLetter = readDeadLetter(await find(signalId));
    return deadLetter === undefined ? undefined : toView(deadLetter);
  };

  const matching = async function* (filter: DeadLetterFilter): AsyncGenerator<Found> {
    for await (const found of allDeadLetters(await deadLetters())) {
      if (matches(found.deadLetter, filter)) yield found;
    }
  };

  const list = async (filter: DeadLetterFilter & { cursor?: string | undefined }) => {
    const { limit = 50, cursor } = filter;
    const deadLetters: DeadLetterView[] = [];
    let last: string | undefined;
    for await (const { deadLetter, position } of matching(filter)) {
      if (cursor !== undefined && position >= cursor) continue;
      if (deadLetters.length === limit) return { deadLetters, nextCursor: last };
      deadLetters.push(toView(deadLetter));
      last = position;
    }
    return { deadLetters };
  };

  const count = async ({ limit, ...filter }: DeadLetterFilter): Promise<DeadLetterCount[]> => {
    const counts = new Map<string, DeadLetterCount>();
    for await (const { deadLetter } of matching(filter)) {
      const { code, typeCode, diedAt, reason } = deadLetter;
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
    const deadLetter = readDeadLetter(job);
    if (job === undefined || deadLetter === undefined) return 'not-found';
    const { typeCode, acceptedAt, attempts, redrives, failedJob } = deadLetter;
    const dedupe = dedupeRecordOf(signalId, deadLetter.job, Date.parse(acceptedAt));
    // The undertaker may have been killed between its two steps: the job would be buried again.
    await backend.jobs.removeFinished(SIGNALS, 'failed', failedJob);
    const record: SignalRecord = {
      ...{ signalId, typeCode, state: 'skipped', acceptedAt, attempts, redrives },
      ...(reason === ERASED ? {} : referencesOf(deadLetter.job)),
      ...redriveLogOf(deadLetter.job),
      ...withTraceId(deadLetter.job),
      reason: discardReason(now(), reason, by),
    };
    const isRemoved = await removeDeadLetter(job, { record, dedupe });
    if (!isRemoved) return 'busy';
    const told = outcomeEventFor(deadLetter.job, { reason: record.reason, at: now().getTime() });
    await backend.bookkeeping.recordOutcomes([{ signalId, outcome: 'skipped', ...told }]);
    return 'discarded';
  };

  /** Only a dead letter that stays where it is: one that goes back to the queue is let go. */
  const removeDeadLetter = async (job: Job, told: SkipRecord): Promise<boolean> => {
    const { id: jobId = '', finishedOn: finishedAt } = job;
    if ((await (await backend.queue(SIGNALS)).getJob(jobId)) !== undefined) return false;
    if (finishedAt !== undefined) {
      return backend.jobs.removeFinished(DEAD_LETTERS, 'failed', { jobId, finishedAt }, told);
    }
    const isNew = job.attemptsMade === 0 && !readDeadLetter(job)?.redriveRequested;
    return isNew && backend.jobs.removeWaiting(DEAD_LETTERS, jobId, told);
  };

  const every = async function* (): AsyncGenerator<Found> {
    yield* allDeadLettersOnce(await deadLetters());
  };

  return { get, list, count, discard, ...createRedrive({ backend, find, every, now }) };
};

export type DeadLetters = ReturnType<typeof createDeadLetters>;

const toView = ({
  version,
  job,
  failedJob,
  redriveRequested,
  redriveBy,
  ...view
}: DeadLetter): DeadLetterView => ({ ...view, ...referencesOf(job), ...redriveLogOf(job) });

/** Why signals of an application that was erased are let go of, from the queue or the dead letters. */
export const ERASED = 'application-erased';

const DISCARDED = /^discarded at \S+(?: by .+?)?: /;

/** As it is told of a signal that was discarded. */
export const discardReason = (at: Date, reason: string, by?: string): string =>
  `discarded at ${at.toISOString()}${by === undefined ? '' : ` by ${by}`}: ${reason}`;

/** Whether somebody decided so who may think better of it: not where it was to be erased. */
export const canReimport = (reason = ''): boolean =>
  DISCARDED.test(reason) && reason.replace(DISCARDED, '') !== ERASED;
