import type { Job } from 'bullmq';
import type { DeadLetter } from '../schemas/deadLetter.ts';
import { isObject } from '../schemas/json.ts';
import { JobResultSchema, redriveLogOf, SignalJobSchema } from '../schemas/signalJob.ts';
import type { SignalRecord, SignalState } from '../schemas/signalRecord.ts';
import { traceIdOf } from '../schemas/traceContext.ts';
import { type Backend, DEAD_LETTERS, type QueueName, SIGNALS } from './backend.ts';
import { allDeadLetters, readDeadLetter } from './readDeadLetters.ts';
import { referencesOf, type SearchKey, searchKeysOf } from './searchIndex.ts';

/** Answers where a signal is, and what became of it. */
export const createLookup = (backend: Backend) => {
  // The state first: a job that is read after it was completed holds how it ended.
  const look = async (name: QueueName, signalId: string): Promise<SignalRecord | undefined> => {
    const queue = await backend.queue(name);
    const state = await queue.getJobState(signalId);
    const job = state === 'unknown' ? undefined : await queue.getJob(signalId);
    if (job === undefined) return undefined;
    return name === SIGNALS ? toSignalRecord(job, toState(state, job)) : fromLetter(job);
  };

  // Burying and redriving add before they remove, so a signal is always in one of the two queues.
  // Yet reading them one after the other can miss it on its way: hence the second look.
  const find = async (signalId: string): Promise<SignalRecord | undefined> =>
    (await look(SIGNALS, signalId)) ??
    (await look(DEAD_LETTERS, signalId)) ??
    (await look(SIGNALS, signalId)) ??
    (await backend.bookkeeping.findSkipRecord(signalId));

  return {
    find,

    /** `undefined`: nothing is kept under this id. */
    stateOf: async (signalId: string): Promise<SignalState | undefined> => {
      const record = await find(signalId);
      if (record !== undefined) return record.state;
      // Delivered signals are kept for a time and in a number; what is remembered beyond that and
      // lies nowhere was settled, and what was skipped has been looked for above.
      return (await backend.bookkeeping.findDedupeRecord(signalId)) === undefined
        ? undefined
        : 'delivered';
    },
  };
};

export type SignalLookup = ReturnType<typeof createLookup>;

const toState = (bullState: string, job: Job): SignalState => {
  switch (bullState) {
    case 'active':
      return 'active';
    case 'delayed':
      return 'retrying';
    case 'completed':
      return JobResultSchema.safeParse(job.returnvalue).data?.outcome ?? 'delivered';
    case 'failed':
      return 'dead';
    default:
      return 'waiting';
  }
};

/** What can be told of a job, of which the state is known. */
export const toSignalRecord = (job: Job, state: SignalState): SignalRecord => {
  const data = SignalJobSchema.safeParse(job.data).data;
  const last = JobResultSchema.safeParse(job.returnvalue).data?.attempt;
  const reason =
    state === 'dead' ? job.failedReason : state === 'skipped' ? last?.reason : undefined;

  return {
    signalId: job.id ?? '',
    typeCode: data?.signal.typeCode ?? 'unknown',
    state,
    acceptedAt: data?.acceptedAt ?? new Date(job.timestamp).toISOString(),
    ...(data === undefined ? {} : { acceptedFrom: data.acceptedFrom }),
    attempts: [...(data?.attempts ?? []), ...(last === undefined ? [] : [last])],
    ...(state === 'retrying' && data?.nextAttemptAt !== undefined
      ? { nextAttemptAt: data.nextAttemptAt }
      : {}),
    ...(state === 'retrying' && data?.lastDeferral !== undefined
      ? { lastDeferral: data.lastDeferral }
      : {}),
    redrives: data?.redrives ?? 0,
    ...referencesOf(job.data),
    ...redriveLogOf(data),
    ...withTraceId(job.data),
    ...(reason ? { reason } : {}),
  };
};

const fromLetter = (job: Job): SignalRecord | undefined => {
  const deadLetter = readDeadLetter(job);
  if (deadLetter === undefined) return undefined;
  const { signalId, typeCode, acceptedAt, attempts, redrives, reason } = deadLetter;
  const acceptedFrom = isObject(deadLetter.job) ? deadLetter.job.acceptedFrom : undefined;
  return {
    ...{ signalId, typeCode, state: 'dead', acceptedAt, attempts, redrives, reason },
    ...(typeof acceptedFrom === 'string' ? { acceptedFrom } : {}),
    ...referencesOf(deadLetter.job),
    ...redriveLogOf(deadLetter.job),
    ...withTraceId(deadLetter.job),
  };
};

/** To be spread into what is told of a signal. */
export const withTraceId = (data: unknown): Pick<SignalRecord, 'traceId'> => {
  const traceId = traceIdOf(data);
  return traceId === undefined ? {} : { traceId };
};

// One position may have as many dead letters as there are.
const AT_ONCE = 100;

type Deps = {
  backend: Pick<Backend, 'index' | 'queue'>;
  lookup: Pick<SignalLookup, 'find'>;
};

/** Finds signals by what they have in common, the one that was accepted last first. */
export const createFindSignals = ({ backend, lookup }: Deps) => {
  const microBatch = async (
    listed: readonly string[],
    has: (deadLetter: DeadLetter) => boolean,
    limit: number,
  ): Promise<SignalRecord[]> => {
    const ids = new Set(listed);
    // They stay until somebody deals with them, longer than any index.
    for await (const { deadLetter } of allDeadLetters(await backend.queue(DEAD_LETTERS))) {
      if (has(deadLetter)) ids.add(deadLetter.signalId);
    }
    const all = [...ids];
    const newest: SignalRecord[] = [];
    for (let at = 0; at < all.length; at += AT_ONCE) {
      const found = await Promise.all(all.slice(at, at + AT_ONCE).map(lookup.find));
      newest.push(...found.filter((record) => record !== undefined));
      newest.sort((a, b) => Date.parse(b.acceptedAt) - Date.parse(a.acceptedAt)).splice(limit);
    }
    return newest;
  };

  return {
    byTrait: async (searchKey: SearchKey, limit: number): Promise<SignalRecord[]> =>
      microBatch(await backend.index.find(searchKey), hasTrait(searchKey), limit),

    /** Those that one request to SEEK was about. */
    byRequest: async (requestId: string, limit: number): Promise<SignalRecord[]> =>
      microBatch(await backend.index.findRequest(requestId), wasIn(requestId), limit),

    /** By a value of which nobody says what it is. */
    byAny: async (value: string, limit: number): Promise<SignalRecord[]> => {
      const searchKeys = [
        { kind: 'application', value } as const,
        { kind: 'position', value } as const,
      ];
      const listed = await Promise.all([
        backend.index.findRequest(value),
        ...searchKeys.map(backend.index.find),
      ]);
      const tests = [wasIn(value), ...searchKeys.map(hasTrait)];
      return microBatch(
        listed.flat(),
        (deadLetter) => tests.some((test) => test(deadLetter)),
        limit,
      );
    },
  };
};

const hasTrait =
  ({ kind, value }: SearchKey) =>
  ({ job }: DeadLetter): boolean =>
    isObject(job) &&
    searchKeysOf(job.signal).some(
      (searchKey) => searchKey.kind === kind && searchKey.value === value,
    );

const wasIn =
  (requestId: string) =>
  ({ attempts }: DeadLetter): boolean =>
    attempts.some((attempt) => attempt.requestId === requestId);

export type FindSignals = ReturnType<typeof createFindSignals>;
