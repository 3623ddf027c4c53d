import type { Job } from 'bullmq';

import { DeadLetterSchema } from '../schemas/deadLetter.ts';
import { SettlementSchema, SignalJobSchema } from '../schemas/signalJob.ts';
import type { SignalLife, SignalState } from '../schemas/states.ts';
import { type Backend, DEAD_LETTERS, SIGNALS } from './backend.ts';

/** Answers where a signal is, and what became of it. */
export const createSignalLives = (backend: Backend) => {
  // Burying and redriving add before they remove, so a signal is always in one of the two queues.
  // Yet reading them one after the other can miss it on its way: hence the second look.
  const findJob = async (signalId: string) => {
    const [signals, letters] = [await backend.queue(SIGNALS), await backend.queue(DEAD_LETTERS)];
    return (
      (await signals.getJob(signalId)) ??
      (await letters.getJob(signalId)) ??
      (await signals.getJob(signalId))
    );
  };

  const find = async (signalId: string): Promise<SignalLife | undefined> => {
    const job = await findJob(signalId);
    if (job === undefined) return backend.ledger.findSkipped(signalId);
    if (job.queueName === DEAD_LETTERS) return fromLetter(job);
    return fromSignal(job, toState(await job.getState(), job));
  };

  return {
    find,

    /** `undefined`: nothing is kept under this id. */
    stateOf: async (signalId: string): Promise<SignalState | undefined> => {
      const life = await find(signalId);
      if (life !== undefined) return life.state;
      // Delivered signals are kept for a time and in a number; what is remembered beyond that and
      // lies nowhere was settled, and what was skipped has been looked for above.
      return (await backend.ledger.recall(signalId))?.accepted ? 'delivered' : undefined;
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

const fromSignal = (job: Job, state: SignalState): SignalLife => {
  const data = SignalJobSchema.safeParse(job.data).data;
  const last = SettlementSchema.safeParse(job.returnvalue).data?.attempt;
  const dead = state === 'dead' && job.failedReason ? job.failedReason : undefined;

  return {
    signalId: job.id ?? '',
    typeCode: data?.signal.typeCode ?? 'unknown',
    state,
    acceptedAt: data?.acceptedAt ?? new Date(job.timestamp).toISOString(),
    attempts: [...(data?.attempts ?? []), ...(last === undefined ? [] : [last])],
    ...(state === 'retrying' && data?.nextAttemptAt !== undefined
      ? { nextAttemptAt: data.nextAttemptAt }
      : {}),
    redrives: data?.redrives ?? 0,
    ...(dead === undefined ? {} : { reason: dead }),
  };
};

const fromLetter = (job: Job): SignalLife | undefined => {
  const letter = DeadLetterSchema.safeParse(job.data).data;
  if (letter === undefined) return undefined;
  const { signalId, typeCode, acceptedAt, attempts, redrives, reason } = letter;
  return { signalId, typeCode, state: 'dead', acceptedAt, attempts, redrives, reason };
};
