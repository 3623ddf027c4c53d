import type { Signal } from '../schemas/signal.ts';
import type { SignalJob } from '../schemas/signalJob.ts';
import { SignalJobSchema } from '../schemas/signalJob.ts';
import type { SignalState } from '../schemas/states.ts';
import { type Backend, type Claim, type JobQueue, SIGNALS } from './backend.ts';
import { signalJobOptions } from './jobOptions.ts';
import type { SignalLives } from './signalLives.ts';

export type NewSignal = {
  signalId: string;
  contentId: string;
  signal: Signal;
  /** The name of the API key, or of the application, that sends it. */
  from: string;
};

export type Acceptance =
  | { kind: 'accepted'; signalId: string; duplicate: boolean; state: SignalState }
  /** The same Idempotency-Key was used for other content. */
  | { kind: 'conflict'; signalId: string };

type Deps = { backend: Backend; lives: Pick<SignalLives, 'stateOf'>; now?: () => number };

/** The only place that adds signals. */
export const createSignalQueue = ({ backend, lives, now = Date.now }: Deps) => {
  const { ledger } = backend;

  const toJob = ({ signal, contentId, from }: NewSignal, acceptedAt: number): SignalJob => ({
    version: 1,
    signal,
    contentId,
    acceptedAt: new Date(acceptedAt).toISOString(),
    acceptedFrom: from,
    redrives: 0,
    attempts: [],
  });

  const add = async (queue: JobQueue, signals: NewSignal[], acceptedAt: number) => {
    const jobs = signals.map((entry) => ({
      name: entry.signal.typeCode,
      data: toJob(entry, acceptedAt),
      opts: signalJobOptions(entry.signalId, acceptedAt),
    }));
    const [first, ...rest] = jobs;
    if (first === undefined) return;
    await (rest.length === 0 ? queue.add(first.name, first.data, first.opts) : queue.addBulk(jobs));
  };

  /** What is known under this id already: from memory, or from the job where memory has expired. */
  const knownContent = async (queue: JobQueue, { signalId }: NewSignal, claim: Claim) => {
    if (claim.remembered !== undefined) return claim.remembered.contentId;
    const job = claim.queued
      ? SignalJobSchema.safeParse((await queue.getJob(signalId))?.data)
      : undefined;
    return job?.data?.contentId;
  };

  const judge = async (queue: JobQueue, entry: NewSignal, claim: Claim): Promise<Acceptance> => {
    const { signalId, contentId } = entry;
    const known = await knownContent(queue, entry, claim);
    if (known !== undefined && known !== contentId) return { kind: 'conflict', signalId };
    const duplicate = claim.remembered !== undefined || claim.queued || claim.buried;
    const state = duplicate ? await lives.stateOf(signalId) : undefined;
    return { kind: 'accepted', signalId, duplicate, state: state ?? 'waiting' };
  };

  return {
    /**
     * Takes signals, in order; the ids must differ. Resolves once the queue has acknowledged every
     * write; rejects if any of them is in doubt, and may then be repeated.
     */
    accept: async (signals: NewSignal[]): Promise<Acceptance[]> => {
      const queue = await backend.queue(SIGNALS);
      const claims = await ledger.claim(signals);
      const paired = signals.flatMap((entry, index) => {
        const claim = claims[index];
        return claim === undefined ? [] : [{ entry, claim }];
      });
      const acceptedAt = now();

      await add(
        queue,
        paired.filter(isUnqueued).map(({ entry }) => entry),
        acceptedAt,
      );
      const answers = await Promise.all(
        paired.map(({ entry, claim }) => judge(queue, entry, claim)),
      );
      const newlyKnown = paired.filter(
        ({ claim }, index) => !claim.remembered?.accepted && answers[index]?.kind === 'accepted',
      );
      await ledger.confirm(newlyKnown.map(({ entry }) => ({ ...entry, acceptedAt })));

      return answers;
    },
  };
};

// A claim that was never confirmed may be that of a caller who died before its add. So it is added
// again: under the same job id that is harmless.
const isUnqueued = ({ entry, claim }: { entry: NewSignal; claim: Claim }): boolean =>
  !claim.remembered?.accepted &&
  !claim.queued &&
  !claim.buried &&
  (claim.remembered === undefined || claim.remembered.contentId === entry.contentId);

export type SignalQueue = ReturnType<typeof createSignalQueue>;
