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
  createFindDeadLetter,
  type FoundDeadLetter,
  listDeadLetters,
  readDeadLetter,
  scanDeadLetters,
} from '../queue/readDeadLetters.ts';
import { referencesOf } from '../queue/searchIndex.ts';
import type { DeadLetter } from '../schemas/deadLetter.ts';
import { type Redrive, redriveLogOf } from '../schemas/signalJob.ts';
import type { SignalReferences } from '../schemas/signalRecord.ts';
import { type DeadLetterFilter, matches } from './filter.ts';
import { createRedrive } from './redrive.ts';

/** A dead letter as operators see it. It does not hold the signal, so it holds no seek token. */
export type DeadLetterView = Omit<
  DeadLetter,
  'version' | 'job' | 'failedJob' | 'redriveRequested' | 'redriveBy'
> &
  SignalReferences & { redriveLog?: Redrive[] };

/** How many dead letters have this code and type. `reason` is that of the newest one. */
export type DeadLetterCount = {
  code: string;
  typeCode: string;
  count: number;
  firstAt: string;
  lastAt: string;
  reason: string;
};

export type DiscardResult = 'discarded' | 'not-found' | 'busy';

type Deps = { backend: Backend; now?: () => Date };

/** The operations on dead letters: read, list, count, discard and redrive. */
export const createDeadLetters = ({
  backend,
  now = () => new Date(backend.clock.estimate()),
}: Deps) => {
  const find = createFindDeadLetter(backend);

  const newestFirst = async function* (filter: DeadLetterFilter): AsyncGenerator<FoundDeadLetter> {
    for await (const found of listDeadLetters(await backend.queue(DEAD_LETTERS))) {
      if (matches(found.deadLetter, filter)) yield found;
    }
  };

  const eachOnce = async function* (): AsyncGenerator<FoundDeadLetter> {
    yield* scanDeadLetters(await backend.queue(DEAD_LETTERS));
  };

  return {
    get: async (signalId: string): Promise<DeadLetterView | undefined> => {
      const deadLetter = readDeadLetter(await find(signalId));
      return deadLetter === undefined ? undefined : toView(deadLetter);
    },

    /** Returns one page, newest first. `cursor` is the `nextCursor` of the page before it. */
    list: async (filter: DeadLetterFilter & { cursor?: string | undefined }) => {
      const { limit = 50, cursor } = filter;
      const deadLetters: DeadLetterView[] = [];
      let lastPosition: string | undefined;
      for await (const { deadLetter, position } of newestFirst(filter)) {
        if (cursor !== undefined && position >= cursor) continue;
        if (deadLetters.length === limit) return { deadLetters, nextCursor: lastPosition };
        deadLetters.push(toView(deadLetter));
        lastPosition = position;
      }
      return { deadLetters };
    },

    /** Counts dead letters by code and type, the largest count first. Ignores `limit`. */
    count: (filter: DeadLetterFilter): Promise<DeadLetterCount[]> =>
      countNewestFirst(newestFirst(filter)),

    discard: createDiscard({ backend, find, now }),
    ...createRedrive({ backend, find, eachOnce, now }),
  };
};

export type DeadLetters = ReturnType<typeof createDeadLetters>;

const countNewestFirst = async (
  deadLetters: AsyncIterable<FoundDeadLetter>,
): Promise<DeadLetterCount[]> => {
  const counts = new Map<string, DeadLetterCount>();
  for await (const { deadLetter } of deadLetters) {
    const { code, typeCode, diedAt, reason } = deadLetter;
    const name = JSON.stringify([code, typeCode]);
    const known = counts.get(name);
    if (known === undefined) {
      counts.set(name, { code, typeCode, count: 1, firstAt: diedAt, lastAt: diedAt, reason });
    } else {
      counts.set(name, { ...known, count: known.count + 1, firstAt: diedAt });
    }
  }
  return [...counts.values()].sort((a, b) => b.count - a.count);
};

type DiscardDeps = {
  backend: Backend;
  find: (signalId: string) => Promise<Job | undefined>;
  now: () => Date;
};

const createDiscard =
  ({ backend, find, now }: DiscardDeps) =>
  /** `by` names the API key or the operator that discards the dead letter. */
  async (signalId: string, reason: string, by?: string): Promise<DiscardResult> => {
    const job = await find(signalId);
    const deadLetter = readDeadLetter(job);
    if (job === undefined || deadLetter === undefined) return 'not-found';
    // A sweeper that crashed between its two steps leaves the failed job. Without this removal the
    // next sweep would move it to the dead letters again.
    await backend.jobs.removeFinished(SIGNALS, 'failed', deadLetter.failedJob);
    const skip = toSkipRecord(deadLetter, signalId, reason, discardReason(now(), reason, by));
    const isRemoved = await removeDeadLetter(backend, job, skip);
    if (!isRemoved) return 'busy';
    const outcomeEvent = outcomeEventFor(deadLetter.job, {
      reason: skip.record.reason,
      at: now().getTime(),
    });
    await backend.bookkeeping.recordOutcomes([{ signalId, outcome: 'skipped', ...outcomeEvent }]);
    return 'discarded';
  };

/** Removes only a dead letter that is at rest. One that is on its way back to the queue is not removed. */
const removeDeadLetter = async (backend: Backend, job: Job, skip: SkipRecord): Promise<boolean> => {
  const { id: jobId = '', finishedOn: finishedAt } = job;
  if ((await (await backend.queue(SIGNALS)).getJob(jobId)) !== undefined) return false;
  if (finishedAt !== undefined) {
    return backend.jobs.removeFinished(DEAD_LETTERS, 'failed', { jobId, finishedAt }, skip);
  }
  const isNew = job.attemptsMade === 0 && !readDeadLetter(job)?.redriveRequested;
  return isNew && backend.jobs.removeWaiting(DEAD_LETTERS, jobId, skip);
};

const toSkipRecord = (
  deadLetter: DeadLetter,
  signalId: string,
  reason: string,
  recordedReason: string,
): SkipRecord => {
  const { typeCode, acceptedAt, attempts, redrives, job } = deadLetter;
  return {
    record: {
      signalId,
      typeCode,
      state: 'skipped',
      acceptedAt,
      attempts,
      redrives,
      // The record of an erased application must not name that application.
      ...(reason === ERASED ? {} : referencesOf(job)),
      ...redriveLogOf(job),
      ...withTraceId(job),
      reason: recordedReason,
    },
    dedupe: dedupeRecordOf(signalId, job, Date.parse(acceptedAt)),
  };
};

const toView = ({
  version,
  job,
  failedJob,
  redriveRequested,
  redriveBy,
  ...view
}: DeadLetter): DeadLetterView => ({ ...view, ...referencesOf(job), ...redriveLogOf(job) });

/** The skip reason of signals whose application was erased. */
export const ERASED = 'application-erased';

const DISCARDED = /^discarded at \S+(?: by .+?)?: /;

/** The skip reason that the record of a discarded signal keeps. */
export const discardReason = (at: Date, reason: string, by?: string): string =>
  `discarded at ${at.toISOString()}${by === undefined ? '' : ` by ${by}`}: ${reason}`;

/** True for a manual discard, which an import may undo. False for an erasure and every other skip. */
export const canReimport = (reason = ''): boolean =>
  DISCARDED.test(reason) && reason.replace(DISCARDED, '') !== ERASED;
