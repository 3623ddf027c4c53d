import type { Job } from 'bullmq';
import type { DeadLetter } from '../schemas/deadLetter.ts';
import { isObject } from '../schemas/json.ts';
import { JobResultSchema, redriveLogOf, SignalJobSchema } from '../schemas/signalJob.ts';
import type { SignalRecord, SignalState } from '../schemas/signalRecord.ts';
import { traceIdOf } from '../schemas/traceContext.ts';
import { type Backend, DEAD_LETTERS, type QueueName, SIGNALS } from './backend.ts';
import { listDeadLetters, readDeadLetter } from './readDeadLetters.ts';
import { referencesOf, type SearchKey, searchKeysOf } from './searchIndex.ts';

/** Finds the record of a signal by its id, wherever the signal is stored. */
export const createLookup = (backend: Backend) => {
  // Reads the state first: a job that is read after it completed holds its result.
  const findIn = async (name: QueueName, signalId: string): Promise<SignalRecord | undefined> => {
    const queue = await backend.queue(name);
    const state = await queue.getJobState(signalId);
    const job = state === 'unknown' ? undefined : await queue.getJob(signalId);
    if (job === undefined) return undefined;
    return name === SIGNALS ? toSignalRecord(job, toState(state, job)) : fromDeadLetter(job);
  };

  // A move to the dead letters and a redrive add before they remove, so a signal is always in one of the
  // two queues. A redrive between the first two reads hides it: the third read finds it.
  const find = async (signalId: string): Promise<SignalRecord | undefined> =>
    (await findIn(SIGNALS, signalId)) ??
    (await findIn(DEAD_LETTERS, signalId)) ??
    (await findIn(SIGNALS, signalId)) ??
    (await backend.bookkeeping.findSkipRecord(signalId));

  return {
    find,

    /** `undefined`: nothing is stored under this id. */
    stateOf: async (signalId: string): Promise<SignalState | undefined> => {
      const record = await find(signalId);
      if (record !== undefined) return record.state;
      // A signal with nothing but a dedupe record was delivered: completed jobs are kept for a limited
      // time and number, and `find` has found no skip record.
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

/** The record of a signal in the signals queue, from its job and the state of that job. */
type JobFields = Pick<Job, 'id' | 'data' | 'timestamp'> &
  Partial<Pick<Job, 'returnvalue' | 'failedReason'>>;

export const toSignalRecord = (job: JobFields, state: SignalState): SignalRecord => {
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

const fromDeadLetter = (job: Job): SignalRecord | undefined => {
  const deadLetter = readDeadLetter(job);
  if (deadLetter === undefined) return undefined;
  const { signalId, typeCode, acceptedAt, attempts, redrives, reason } = deadLetter;
  const acceptedFrom = isObject(deadLetter.job) ? deadLetter.job.acceptedFrom : undefined;
  return {
    signalId,
    typeCode,
    state: 'dead',
    acceptedAt,
    attempts,
    redrives,
    reason,
    ...(typeof acceptedFrom === 'string' ? { acceptedFrom } : {}),
    ...referencesOf(deadLetter.job),
    ...redriveLogOf(deadLetter.job),
    ...withTraceId(deadLetter.job),
  };
};

/** The trace of a signal, to spread into a record or a log line. Empty if there is none. */
export const withTraceId = (data: unknown): Pick<SignalRecord, 'traceId'> => {
  const traceId = traceIdOf(data);
  return traceId === undefined ? {} : { traceId };
};

// Bounds concurrent reads: one position may have any number of dead letters.
const MAX_CONCURRENT_READS = 100;

type Deps = {
  backend: Pick<Backend, 'index' | 'queue'>;
  lookup: Pick<SignalLookup, 'find'>;
};

/** Finds signals by what they have in common. Each search returns the signals accepted last, newest first. */
export const createFindSignals = ({ backend, lookup }: Deps) => {
  const readNewest = async (ids: readonly string[], limit: number): Promise<SignalRecord[]> => {
    const newest: SignalRecord[] = [];
    for (let start = 0; start < ids.length; start += MAX_CONCURRENT_READS) {
      const page = ids.slice(start, start + MAX_CONCURRENT_READS);
      const found = await Promise.all(page.map(lookup.find));
      newest.push(...found.filter((record) => record !== undefined));
      newest.sort((a, b) => Date.parse(b.acceptedAt) - Date.parse(a.acceptedAt)).splice(limit);
    }
    return newest;
  };

  const search = async (
    indexedIds: readonly string[],
    matches: (deadLetter: DeadLetter) => boolean,
    limit: number,
  ): Promise<SignalRecord[]> => {
    const ids = new Set(indexedIds);
    // The index expires, but a dead letter stays until an operator redrives or discards it.
    for await (const { deadLetter } of listDeadLetters(await backend.queue(DEAD_LETTERS))) {
      if (matches(deadLetter)) ids.add(deadLetter.signalId);
    }
    return readNewest([...ids], limit);
  };

  return {
    byKey: async (searchKey: SearchKey, limit: number): Promise<SignalRecord[]> =>
      search(await backend.index.find(searchKey), hasKey(searchKey), limit),

    /** Finds the signals of one request to SEEK. */
    byRequest: async (requestId: string, limit: number): Promise<SignalRecord[]> =>
      search(await backend.index.findByRequest(requestId), wasSentIn(requestId), limit),

    /** Finds signals by a value that may be an application, a position or a request id. */
    byAny: async (value: string, limit: number): Promise<SignalRecord[]> => {
      const searchKeys: SearchKey[] = [
        { kind: 'application', value },
        { kind: 'position', value },
      ];
      const indexedIds = await Promise.all([
        backend.index.findByRequest(value),
        ...searchKeys.map(backend.index.find),
      ]);
      const tests = [wasSentIn(value), ...searchKeys.map(hasKey)];
      return search(
        indexedIds.flat(),
        (deadLetter) => tests.some((test) => test(deadLetter)),
        limit,
      );
    },
  };
};

const hasKey =
  ({ kind, value }: SearchKey) =>
  ({ job }: DeadLetter): boolean =>
    isObject(job) &&
    searchKeysOf(job.signal).some(
      (searchKey) => searchKey.kind === kind && searchKey.value === value,
    );

const wasSentIn =
  (requestId: string) =>
  ({ attempts }: DeadLetter): boolean =>
    attempts.some((attempt) => attempt.requestId === requestId);

export type FindSignals = ReturnType<typeof createFindSignals>;
