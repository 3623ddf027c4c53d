import { isObject } from '../schemas/isObject.ts';
import type { Signal } from '../schemas/signal.ts';
import { SettlementSchema, type SkipReason, VERSION } from '../schemas/signalJob.ts';
import type { SignalState } from '../schemas/states.ts';
import type { TraceContext } from '../schemas/traceContext.ts';
import { fingerprintOf, type TokenCipher } from '../tokenCipher.ts';
import {
  type Admission,
  type Backend,
  DEAD_LETTERS,
  type JobQueue,
  type NewJob,
  SIGNALS,
} from './backend.ts';
import { memoryOf, REMEMBER_MS } from './memory.ts';
import { readLetter } from './readLetter.ts';
import { traitsOf } from './signalIndex.ts';
import type { SignalLives } from './signalLives.ts';

export type NewSignal = {
  signalId: string;
  contentId: string;
  signal: Signal;
  /** The name of the API key, or of the application, that sends it. */
  from: string;
  /** Who wants to hear what becomes of it. */
  reportTo?: 'outbox' | undefined;
};

export type Acceptance =
  | { kind: 'accepted'; signalId: string; duplicate: boolean; state: SignalState }
  /** The same Idempotency-Key was used for other content. */
  | { kind: 'conflict'; signalId: string };

type Deps = {
  backend: Backend;
  lives: Pick<SignalLives, 'stateOf'>;
  /** Seals the tokens that signals come with. */
  cipher: Pick<TokenCipher, 'seal'>;
  rememberMs: number;
  now?: () => number;
};

/** The only place that adds signals. */
export const createSignalQueue = ({ backend, lives, cipher, rememberMs, now = Date.now }: Deps) => {
  const { ledger } = backend;

  /** Kept for lookups longer than it is remembered: it makes way for the same signal, sent anew. */
  const findForgotten = async (queue: JobQueue, signalId: string): Promise<Settled> => {
    // One that failed is on its way to the dead letters, however old it is.
    if ((await queue.getJobState(signalId)) !== 'completed') return undefined;
    const job = await queue.getJob(signalId);
    if (job?.finishedOn === undefined) return undefined;
    const { until } = memoryOf(signalId, job.data, job.timestamp);
    return until <= now() ? { finishedAt: job.finishedOn } : undefined;
  };

  /** Skipped for want of a token: sent anew, it may find one. */
  const findSkipped = async (queue: JobQueue, signalId: string): Promise<Settled> => {
    const record = await ledger.findSkipped(signalId);
    if (record === undefined || !MAY_BE_SENT_YET.has(record.reason)) return undefined;
    const job = await queue.getJob(signalId);
    if (job === undefined) return { finishedAt: undefined };
    const outcome = SettlementSchema.safeParse(job.returnvalue).data?.outcome;
    return outcome === 'skipped' ? { finishedAt: job.finishedOn } : undefined;
  };

  /** The content of what lies in a queue under this id; `undefined` where nothing does. */
  const findLying = async (queue: JobQueue, signalId: string): Promise<Lying | undefined> => {
    const letters = await backend.queue(DEAD_LETTERS);
    const job = await queue.getJob(signalId);
    const stored = await letters.getJob(signalId);
    if (job === undefined && stored === undefined) return undefined;
    // Whatever version wrote it: no more is looked at than what all of them have kept.
    const data = job?.data ?? readLetter(stored)?.job;
    return { contentId: isObject(data) ? memoryOf(signalId, data, 0).contentId : undefined };
  };

  /** Where others were at it between our looks, what we know is out of date: all is asked again. */
  const admitAnew = async (job: NewJob, tries: number): Promise<Acceptance> => {
    if (tries === MOST_TRIES) throw new Error('Others change this signal all the time');
    const [admission] = await backend.admit([job]);
    return conclude(job, admission, tries + 1);
  };

  const duplicate = async (job: NewJob, lying: Lying, tries: number): Promise<Acceptance> => {
    const { signalId, contentId } = job;
    // Without an Idempotency-Key the id is the content's own. Under a key, what can't be read can't be
    // compared, and to call it the same might lose what is sent now.
    if (signalId !== contentId && lying.contentId !== contentId) {
      return { kind: 'conflict', signalId };
    }
    const state = await lives.stateOf(signalId);
    // Somebody reopened it, and may not have come any further. At last it is that nobody can read it.
    if (state === undefined && tries < MOST_TRIES) return admitAnew(job, tries);
    return { kind: 'accepted', signalId, duplicate: true, state: state ?? 'waiting' };
  };

  const conclude = async (
    job: NewJob,
    admission: Admission | undefined,
    tries = 0,
  ): Promise<Acceptance> => {
    if (admission === undefined) throw new Error('Not answered');
    const { signalId, contentId } = job;
    if (admission.kind === 'added') {
      return { kind: 'accepted', signalId, duplicate: false, state: 'waiting' };
    }
    const { remembered, queued } = admission;
    const queue = await backend.queue(SIGNALS);
    const reopened =
      remembered === undefined
        ? queued && (await findForgotten(queue, signalId))
        : remembered === contentId && (await findSkipped(queue, signalId));
    if (reopened) {
      await ledger.reopen(signalId, reopened.finishedAt);
      return admitAnew(job, tries);
    }
    const lying =
      remembered === undefined ? await findLying(queue, signalId) : { contentId: remembered };
    return lying === undefined ? admitAnew(job, tries) : duplicate(job, lying, tries);
  };

  return {
    /**
     * Takes signals, in order; the ids must differ. Resolves once the queue has acknowledged every
     * write; rejects if any of them is in doubt, and may then be repeated. Those that are new belong to
     * `trace`.
     */
    accept: async (signals: NewSignal[], trace?: TraceContext): Promise<Acceptance[]> => {
      const since = performance.now();
      const acceptedAt = new Date(now()).toISOString();
      const jobs = signals.map((entry) => toJob(entry, { acceptedAt, rememberMs, cipher, trace }));
      const traced = jobs.flatMap(({ signalId, data }) =>
        traitsOf(data.signal).map((trait) => ({ ...trait, signalId })),
      );
      // To be found by more than its id is no part of what is promised: it is not waited for in vain.
      const noted = backend.index.note(traced).catch(() => {});
      const admissions = await backend.admit(jobs);
      await noted;
      const acceptances = await Promise.all(
        jobs.map((job, index) => conclude(job, admissions[index])),
      );
      // For duplicates too: their answer promises as much.
      if (acceptances.some(({ kind }) => kind === 'accepted')) await backend.replicated(since);
      return acceptances;
    },
  };
};

export type SignalQueue = ReturnType<typeof createSignalQueue>;

/** What may have changed since: a worker said so because of the token that it found, or did not. */
const MAY_BE_SENT_YET: ReadonlySet<string | undefined> = new Set<SkipReason>([
  'no-token',
  'token-expired',
]);

/** A signal that was settled, and when its job finished, if there still is one. */
type Settled = { finishedAt: number | undefined } | undefined;

/** What lies under an id already; unreadable without a content. */
type Lying = { contentId: string | undefined };

// Others are at it now and then; so many times in a row that is no accident.
const MOST_TRIES = 5;

type Circumstances = Pick<Deps, 'cipher' | 'rememberMs'> & {
  acceptedAt: string;
  trace: TraceContext | undefined;
};

const toJob = (
  { signalId, signal, contentId, from, reportTo }: NewSignal,
  { acceptedAt, rememberMs, cipher, trace }: Circumstances,
): NewJob => {
  const data = {
    ...keep(signal, signalId, cipher),
    // What says nothing is left out: in a long queue it would be most of what we add to the signal.
    ...(contentId === signalId ? {} : { contentId }),
    ...(rememberMs === REMEMBER_MS ? {} : { rememberMs }),
    ...(reportTo === undefined ? {} : { reportTo }),
    acceptedAt,
    acceptedFrom: from,
    ...trace,
  };
  return { signalId, contentId, data: { version: VERSION, ...data } };
};

const keep = (signal: Signal, signalId: string, cipher: Pick<TokenCipher, 'seal'>) => {
  const { token, ...rest } = signal;
  const sealed = token === undefined ? undefined : cipher.seal(token, signalId);
  if (token === undefined || sealed === undefined) return { signal };
  return { signal: rest, sealedToken: { sealed, fingerprint: fingerprintOf(token) } };
};
