import type { Job } from 'bullmq';
import type { DeadLetter } from '../schemas/deadLetter.ts';
import { isObject } from '../schemas/json.ts';
import { redriveLogOf, SettlementSchema, SignalJobSchema } from '../schemas/signalJob.ts';
import type { SignalLife, SignalState } from '../schemas/signalRecord.ts';
import { traceIdOf } from '../schemas/traceContext.ts';
import { type Backend, DEAD_LETTERS, type QueueName, SIGNALS } from './backend.ts';
import { everyLetter, readLetter } from './readDeadLetters.ts';
import { subjectOf, type Trait, traitsOf } from './searchIndex.ts';

/** Answers where a signal is, and what became of it. */
export const createSignalLives = (backend: Backend) => {
  // The state first: a job that is read after it was completed holds how it ended.
  const look = async (name: QueueName, signalId: string): Promise<SignalLife | undefined> => {
    const queue = await backend.queue(name);
    const state = await queue.getJobState(signalId);
    const job = state === 'unknown' ? undefined : await queue.getJob(signalId);
    if (job === undefined) return undefined;
    return name === SIGNALS ? toLife(job, toState(state, job)) : fromLetter(job);
  };

  // Burying and redriving add before they remove, so a signal is always in one of the two queues.
  // Yet reading them one after the other can miss it on its way: hence the second look.
  const find = async (signalId: string): Promise<SignalLife | undefined> =>
    (await look(SIGNALS, signalId)) ??
    (await look(DEAD_LETTERS, signalId)) ??
    (await look(SIGNALS, signalId)) ??
    (await backend.ledger.findSkipped(signalId));

  return {
    find,

    /** `undefined`: nothing is kept under this id. */
    stateOf: async (signalId: string): Promise<SignalState | undefined> => {
      const life = await find(signalId);
      if (life !== undefined) return life.state;
      // Delivered signals are kept for a time and in a number; what is remembered beyond that and
      // lies nowhere was settled, and what was skipped has been looked for above.
      return (await backend.ledger.recall(signalId)) === undefined ? undefined : 'delivered';
    },
  };
};

export type SignalLives = ReturnType<typeof createSignalLives>;

const toState = (bullState: string, job: Job): SignalState => {
  switch (bullState) {
    case 'active':
      return 'active';
    case 'delayed':
      return 'retrying';
    case 'completed':
      return SettlementSchema.safeParse(job.returnvalue).data?.outcome ?? 'delivered';
    case 'failed':
      return 'dead';
    default:
      return 'waiting';
  }
};

/** What can be told of a job, of which the state is known. */
export const toLife = (job: Job, state: SignalState): SignalLife => {
  const data = SignalJobSchema.safeParse(job.data).data;
  const last = SettlementSchema.safeParse(job.returnvalue).data?.attempt;
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
    ...subjectOf(job.data),
    ...redriveLogOf(data),
    ...traced(job.data),
    ...(reason ? { reason } : {}),
  };
};

const fromLetter = (job: Job): SignalLife | undefined => {
  const letter = readLetter(job);
  if (letter === undefined) return undefined;
  const { signalId, typeCode, acceptedAt, attempts, redrives, reason } = letter;
  const acceptedFrom = isObject(letter.job) ? letter.job.acceptedFrom : undefined;
  return {
    ...{ signalId, typeCode, state: 'dead', acceptedAt, attempts, redrives, reason },
    ...(typeof acceptedFrom === 'string' ? { acceptedFrom } : {}),
    ...subjectOf(letter.job),
    ...redriveLogOf(letter.job),
    ...traced(letter.job),
  };
};

/** To be spread into what is told of a signal. */
export const traced = (data: unknown): Pick<SignalLife, 'traceId'> => {
  const traceId = traceIdOf(data);
  return traceId === undefined ? {} : { traceId };
};

// One position may have as many dead letters as there are.
const AT_ONCE = 100;

type Deps = {
  backend: Pick<Backend, 'index' | 'queue'>;
  lives: Pick<SignalLives, 'find'>;
};

/** Finds signals by what they have in common, the one that was accepted last first. */
export const createFindSignals = ({ backend, lives }: Deps) => {
  const gather = async (
    listed: readonly string[],
    has: (letter: DeadLetter) => boolean,
    limit: number,
  ): Promise<SignalLife[]> => {
    const ids = new Set(listed);
    // They stay until somebody deals with them, longer than any index.
    for await (const { letter } of everyLetter(await backend.queue(DEAD_LETTERS))) {
      if (has(letter)) ids.add(letter.signalId);
    }
    const all = [...ids];
    const newest: SignalLife[] = [];
    for (let at = 0; at < all.length; at += AT_ONCE) {
      const found = await Promise.all(all.slice(at, at + AT_ONCE).map(lives.find));
      newest.push(...found.filter((life) => life !== undefined));
      newest.sort((a, b) => Date.parse(b.acceptedAt) - Date.parse(a.acceptedAt)).splice(limit);
    }
    return newest;
  };

  return {
    byTrait: async (trait: Trait, limit: number): Promise<SignalLife[]> =>
      gather(await backend.index.find(trait), hasTrait(trait), limit),

    /** Those that one request to SEEK was about. */
    byRequest: async (requestId: string, limit: number): Promise<SignalLife[]> =>
      gather(await backend.index.findRequest(requestId), wasIn(requestId), limit),

    /** By a value of which nobody says what it is. */
    byAny: async (value: string, limit: number): Promise<SignalLife[]> => {
      const traits = [
        { kind: 'application', value } as const,
        { kind: 'position', value } as const,
      ];
      const listed = await Promise.all([
        backend.index.findRequest(value),
        ...traits.map(backend.index.find),
      ]);
      const tests = [wasIn(value), ...traits.map(hasTrait)];
      return gather(listed.flat(), (letter) => tests.some((test) => test(letter)), limit);
    },
  };
};

const hasTrait =
  ({ kind, value }: Trait) =>
  ({ job }: DeadLetter): boolean =>
    isObject(job) &&
    traitsOf(job.signal).some((trait) => trait.kind === kind && trait.value === value);

const wasIn =
  (requestId: string) =>
  ({ attempts }: DeadLetter): boolean =>
    attempts.some((attempt) => attempt.requestId === requestId);

export type FindSignals = ReturnType<typeof createFindSignals>;
