import { fingerprintOf, type TokenCipher } from '../runtime/tokenCipher.ts';
import { isObject } from '../schemas/json.ts';
import type { Signal } from '../schemas/signal.ts';
import { REMEMBER_MS, SettlementSchema, VERSION } from '../schemas/signalJob.ts';
import type { SignalState } from '../schemas/signalRecord.ts';
import type { TraceContext } from '../schemas/traceContext.ts';
import {
  decide,
  type Existing,
  type Facts,
  isConflict,
  isRetryable,
  type QueuedJob,
  type SkipRecord,
  toReopen,
} from './acceptDecision.ts';
import {
  type Admission,
  type Backend,
  DEAD_LETTERS,
  type JobQueue,
  type Ledger,
  type NewJob,
  type QueueName,
  SIGNALS,
} from './backend.ts';
import { memoryOf } from './dedupeWindow.ts';
import type { SignalLives } from './lookup.ts';
import { readLetter } from './readDeadLetters.ts';
import { traitsOf } from './searchIndex.ts';

export type NewSignal = {
  signalId: string;
  contentId: string;
  signal: Signal;
  /** The name of the API key or of the application that sends it. */
  from: string;
  /** Where workers report its outcome. */
  reportTo?: 'outbox' | undefined;
};

export type Acceptance =
  | { kind: 'accepted'; signalId: string; duplicate: boolean; state: SignalState }
  /** The same Idempotency-Key was used for other content. */
  | { kind: 'conflict'; signalId: string };

type Deps = {
  backend: Pick<Backend, 'admit' | 'replicated'> & {
    queue: (name: QueueName) => Promise<Pick<JobQueue, 'getJob' | 'getJobState'>>;
    ledger: Pick<Ledger, 'findSkipped' | 'reopen'>;
    index: Pick<Backend['index'], 'note'>;
  };
  lives: Pick<SignalLives, 'stateOf'>;
  /** Encrypts the seek tokens that signals carry. */
  cipher: Pick<TokenCipher, 'seal'>;
  rememberMs: number;
  now?: () => number;
};

/** The only code that adds new signals to the queue. */
export const createSignalQueue = ({ backend, lives, cipher, rememberMs, now = Date.now }: Deps) => {
  const gatherFacts = createFactReader({ backend, lives, now });

  /** Carries out what `decide` says, beginning with the answer to the first attempt to enqueue. */
  const conclude = async (job: NewJob, first: Admission | undefined): Promise<Acceptance> => {
    const { signalId } = job;
    let admission = first;
    for (let attempts = 0; ; attempts += 1) {
      if (admission === undefined) throw new Error(noAnswer(signalId));
      const action = decide(await gatherFacts(job, admission, attempts === MAX_ATTEMPTS));
      switch (action.kind) {
        case 'accepted':
          return { kind: 'accepted', signalId, duplicate: false, state: 'waiting' };
        case 'duplicate':
          return { kind: 'accepted', signalId, duplicate: true, state: action.state };
        case 'conflict':
          return { kind: 'conflict', signalId };
        case 'reopen':
          // Another process may have reopened it first. The next attempt shows what came of it.
          await backend.ledger.reopen(signalId, action.finishedAt);
          break;
        case 'tryAgain':
          break;
      }
      if (attempts === MAX_ATTEMPTS) throw new Error(gaveUp(signalId));
      [admission] = await backend.admit([job]);
    }
  };

  return {
    /**
     * Enqueues signals in order. Their ids must differ. Resolves once the queue has acknowledged every
     * write. Rejects if any write is in doubt; it is then safe to repeat the call. New signals belong to
     * `trace`.
     */
    accept: async (signals: NewSignal[], trace?: TraceContext): Promise<Acceptance[]> => {
      const since = performance.now();
      const acceptedAt = new Date(now()).toISOString();
      const jobs = signals.map((entry) => toJob(entry, { acceptedAt, rememberMs, cipher, trace }));
      const traced = jobs.flatMap(({ signalId, data }) =>
        traitsOf(data.signal).map((trait) => ({ ...trait, signalId })),
      );
      // Search by anything but the id is best effort: its failure does not fail the enqueue.
      const noted = backend.index.note(traced).catch(() => {});
      const admissions = await backend.admit(jobs);
      await noted;
      const acceptances = await Promise.all(
        jobs.map((job, index) => conclude(job, admissions[index])),
      );
      // For duplicates too: their answer makes the same promise as that of a new signal.
      if (acceptances.some(({ kind }) => kind === 'accepted')) await backend.replicated(since);
      return acceptances;
    },
  };
};

export type SignalQueue = ReturnType<typeof createSignalQueue>;

// To re-enqueue one signal. Concurrent updates need one or two; so many in a row point to a fault.
const MAX_ATTEMPTS = 5;

const noAnswer = (signalId: string): string =>
  `The queue did not say whether it added signal ${signalId}. Enqueue it again.`;

const gaveUp = (signalId: string): string =>
  `Gave up after ${MAX_ATTEMPTS} attempts: concurrent updates to signal ${signalId}. Enqueue it again.`;

/**
 * Reads from cheap to expensive, and stops at the fact that decides. A signal that was added costs no
 * read; duplicates are frequent, and cost no more than their answer needs.
 */
const createFactReader = ({
  backend,
  lives,
  now,
}: Pick<Deps, 'backend' | 'lives'> & { now: () => number }) => {
  // No other job than a completed one is past its dedupe window: the rest of it is not read.
  const readJob = async (signalId: string): Promise<QueuedJob | undefined> => {
    const queue = await backend.queue(SIGNALS);
    const state = await queue.getJobState(signalId);
    const job = state === 'completed' ? await queue.getJob(signalId) : undefined;
    if (job === undefined) return { state };
    const { until } = memoryOf(signalId, job.data, job.timestamp);
    return { state, finishedAt: job.finishedOn, isPastWindow: until <= now() };
  };

  const readSkip = async (signalId: string): Promise<SkipRecord | undefined> => {
    const record = await backend.ledger.findSkipped(signalId);
    if (record === undefined || !isRetryable(record.reason)) return undefined;
    const job = await (await backend.queue(SIGNALS)).getJob(signalId);
    if (job === undefined) return { reason: record.reason };
    const outcome = SettlementSchema.safeParse(job.returnvalue).data?.outcome;
    return { reason: record.reason, job: { outcome, finishedAt: job.finishedOn } };
  };

  // The signals queue first: a move to the dead letters adds the dead letter before it removes the job.
  // A redrive between the two reads can still hide the signal, and `decide` then tries again.
  const readExisting = async (signalId: string): Promise<Existing | undefined> => {
    const signals = await backend.queue(SIGNALS);
    const deadLetters = await backend.queue(DEAD_LETTERS);
    const job = await signals.getJob(signalId);
    const deadLetter = await deadLetters.getJob(signalId);
    if (job === undefined && deadLetter === undefined) return undefined;
    const data = job?.data ?? readLetter(deadLetter)?.job;
    // Any version may have written it: reads only the fields that all versions write.
    return { contentId: isObject(data) ? memoryOf(signalId, data, 0).contentId : undefined };
  };

  return async (
    { signalId, contentId }: NewJob,
    admission: Admission,
    isLastAttempt: boolean,
  ): Promise<Facts> => {
    const facts = { signalId, contentId, added: admission.kind === 'added', isLastAttempt };
    if (admission.kind === 'added') return facts;
    const { remembered: recorded, queued } = admission;
    const job = recorded === undefined && queued ? await readJob(signalId) : undefined;
    const skip = recorded === contentId ? await readSkip(signalId) : undefined;
    if (toReopen({ job, skip }) !== undefined) return { ...facts, job, skip };
    const existing =
      recorded === undefined ? await readExisting(signalId) : { contentId: recorded };
    if (existing === undefined || isConflict({ ...facts, existing })) return { ...facts, existing };
    return { ...facts, existing, state: await lives.stateOf(signalId) };
  };
};

type JobContext = Pick<Deps, 'cipher' | 'rememberMs'> & {
  acceptedAt: string;
  trace: TraceContext | undefined;
};

const toJob = (
  { signalId, signal, contentId, from, reportTo }: NewSignal,
  { acceptedAt, rememberMs, cipher, trace }: JobContext,
): NewJob => {
  const data = {
    ...encryptToken(signal, signalId, cipher),
    // Default values are left out: in a long queue they would be most of what is stored beside the signal.
    ...(contentId === signalId ? {} : { contentId }),
    ...(rememberMs === REMEMBER_MS ? {} : { rememberMs }),
    ...(reportTo === undefined ? {} : { reportTo }),
    acceptedAt,
    acceptedFrom: from,
    ...trace,
  };
  return { signalId, contentId, data: { version: VERSION, ...data } };
};

const encryptToken = (signal: Signal, signalId: string, cipher: Pick<TokenCipher, 'seal'>) => {
  const { token, ...rest } = signal;
  const sealed = token === undefined ? undefined : cipher.seal(token, signalId);
  if (token === undefined || sealed === undefined) return { signal };
  return { signal: rest, sealedToken: { sealed, fingerprint: fingerprintOf(token) } };
};
