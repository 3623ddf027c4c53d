import type { Job } from 'bullmq';

import { isObject } from '../schemas/isObject.ts';
import { redriveLogOf, SettlementSchema, SignalJobSchema } from '../schemas/signalJob.ts';
import type { SignalLife, SignalState } from '../schemas/states.ts';
import { traceIdOf } from '../schemas/traceContext.ts';
import { type Backend, DEAD_LETTERS, type QueueName, SIGNALS } from './backend.ts';
import { readLetter } from './readLetter.ts';
import { subjectOf } from './subject.ts';

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
