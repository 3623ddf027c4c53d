import { fingerprintOf, type TokenCipher } from '../runtime/tokenCipher.ts';
import { isObject } from '../schemas/json.ts';
import type { Signal } from '../schemas/signal.ts';
import { DEDUPE_WINDOW_MS, JobResultSchema, SIGNAL_JOB_VERSION } from '../schemas/signalJob.ts';
import type { SignalState } from '../schemas/signalRecord.ts';
import type { TraceContext } from '../schemas/traceContext.ts';
import {
  decide,
  type Existing,
  type Facts,
  isConflict,
  isRetryable,
  type QueuedJob,
  type Skip,
  toReopen,
} from './acceptDecision.ts';
import {
  type Backend,
  type Bookkeeping,
  DEAD_LETTERS,
  type EnqueueIfAbsentResult,
  type JobQueue,
  type NewJob,
  type QueueName,
  SIGNALS,
} from './backend.ts';
import { dedupeRecordOf } from './dedupeWindow.ts';
import type { SignalLookup } from './lookup.ts';
import { readDeadLetter } from './readDeadLetters.ts';
import { searchKeysOf } from './searchIndex.ts';

export type NewSignal = {
  signalId: string;
  contentId: string;
  signal: Signal;
  /** The name of the API key or of the application that sent the signal. */
  from: string;
  /** Where workers report the outcome. */
  reportTo?: 'outbox' | undefined;
};

export type Acceptance =
  | { kind: 'accepted'; signalId: string; duplicate: boolean; state: SignalState }
  /** The same Idempotency-Key was used for other content. */
  | { kind: 'conflict'; signalId: string };

type Deps = {
  backend: Pick<Backend, 'enqueueIfAbsent' | 'takeBack' | 'waitForReplicas' | 'clock'> & {
    queue: (name: QueueName) => Promise<Pick<JobQueue, 'getJob' | 'getJobState'>>;
    bookkeeping: Pick<Bookkeeping, 'findSkipRecord' | 'reopen'>;
    index: Pick<Backend['index'], 'indexSignals'>;
  };
  lookup: Pick<SignalLookup, 'stateOf'>;
  /** Encrypts the seek tokens that signals carry. */
  cipher: Pick<TokenCipher, 'encrypt'>;
  dedupeWindowMs: number;
  /** Default: the clock of the queue. */
  now?: () => Promise<number>;
};

/** Accepts signals. No other code adds new signals to the queue. */
export const createAcceptSignals = ({
  backend,
  lookup,
  cipher,
  dedupeWindowMs,
  now = backend.clock.read,
}: Deps) => {
  const gatherFacts = createFactReader({ backend, lookup, now });

  /** Acts on `decide` until it gives a final answer. `first`: the result of the first attempt to enqueue. */
  const acceptOne = async (
    job: NewJob,
    first: EnqueueIfAbsentResult | undefined,
  ): Promise<Acceptance> => {
    const { signalId } = job;
    let enqueued = first;
    for (let attempts = 0; ; attempts += 1) {
      if (enqueued === undefined) throw new Error(noResult(signalId));
      const action = decide(await gatherFacts(job, enqueued, attempts === MAX_ATTEMPTS));
      switch (action.kind) {
        case 'accepted':
          return { kind: 'accepted', signalId, duplicate: false, state: 'waiting' };
        case 'duplicate':
          return { kind: 'accepted', signalId, duplicate: true, state: action.state };
        case 'conflict':
          return { kind: 'conflict', signalId };
        case 'reopen':
          // Ignores whether it did: if another process was first, the next attempt finds its signal.
          await backend.bookkeeping.reopen(signalId, action.finishedAt);
          break;
        case 'tryAgain':
          break;
      }
      if (attempts === MAX_ATTEMPTS) throw new Error(gaveUp(signalId));
      [enqueued] = await backend.enqueueIfAbsent([job]);
    }
  };

  return {
    /**
     * Enqueues signals, in order; their ids must differ. Resolves with one result per signal, once the
     * queue and its replicas have acknowledged every write. Rejects if any write is in doubt; the call
     * may then be repeated. New signals carry `trace`.
     */
    accept: async (signals: NewSignal[], trace?: TraceContext): Promise<Acceptance[]> => {
      const since = performance.now();
      const acceptedAt = new Date(await now()).toISOString();
      const jobs = signals.map((entry) =>
        toJob(entry, { acceptedAt, dedupeWindowMs, cipher, trace }),
      );
      const entries = jobs.flatMap(({ signalId, data }) =>
        searchKeysOf(data.signal).map((searchKey) => ({ ...searchKey, signalId })),
      );
      // The search index is best effort: its failure does not fail the enqueue.
      const indexing = backend.index.indexSignals(entries).catch(() => {});
      const enqueued = await backend.enqueueIfAbsent(jobs);
      await indexing;
      const acceptances = await Promise.all(
        jobs.map((job, index) => acceptOne(job, enqueued[index])),
      );
      // Duplicates wait for the replicas too: their answer makes the same promise as that of a new signal.
      if (acceptances.some(({ kind }) => kind === 'accepted')) {
        await backend.waitForReplicas(since).catch(async (err: unknown) => {
          // The caller sends the signals again, perhaps to another master, which does not know them. It
          // would deliver them a second time.
          await backend.takeBack(jobs).catch(() => {});
          throw err;
        });
      }
      return acceptances;
    },
  };
};

export type AcceptSignals = ReturnType<typeof createAcceptSignals>;

// Further attempts to enqueue one signal. A concurrent update needs one or two; more point to a fault.
const MAX_ATTEMPTS = 5;

const noResult = (signalId: string): string =>
  `The queue did not say whether it added signal ${signalId}. Enqueue it again.`;

const gaveUp = (signalId: string): string =>
  `Gave up after ${MAX_ATTEMPTS} attempts: concurrent updates to signal ${signalId}. Enqueue it again.`;

/**
 * Reads the facts for `decide`, cheap ones first, and stops at the first that decides. A new signal
 * costs no read. Duplicates are frequent, so they cost no more reads than their answer needs.
 */
const createFactReader = ({
  backend,
  lookup,
  now,
}: Pick<Deps, 'backend' | 'lookup'> & { now: () => Promise<number> }) => {
  // Only a completed job can be past its dedupe window, so the data of other jobs is not read.
  const readJob = async (signalId: string): Promise<QueuedJob | undefined> => {
    const queue = await backend.queue(SIGNALS);
    const state = await queue.getJobState(signalId);
    const job = state === 'completed' ? await queue.getJob(signalId) : undefined;
    if (job === undefined) return { state };
    const { until } = dedupeRecordOf(signalId, job.data, job.timestamp);
    return { state, finishedAt: job.finishedOn, isPastWindow: until <= (await now()) };
  };

  const readSkip = async (signalId: string): Promise<Skip | undefined> => {
    const record = await backend.bookkeeping.findSkipRecord(signalId);
    if (record === undefined || !isRetryable(record.reason)) return undefined;
    const job = await (await backend.queue(SIGNALS)).getJob(signalId);
    if (job === undefined) return { reason: record.reason };
    const outcome = JobResultSchema.safeParse(job.returnvalue).data?.outcome;
    return { reason: record.reason, job: { outcome, finishedAt: job.finishedOn } };
  };

  // The signals queue first: a move to the dead letters adds the dead letter before it removes the job.
  // A redrive between the two reads still hides the signal. `decide` then asks for another attempt.
  const readExisting = async (signalId: string): Promise<Existing | undefined> => {
    const signals = await backend.queue(SIGNALS);
    const deadLetters = await backend.queue(DEAD_LETTERS);
    const job = await signals.getJob(signalId);
    const deadLetter = await deadLetters.getJob(signalId);
    if (job === undefined && deadLetter === undefined) return undefined;
    const data = job?.data ?? readDeadLetter(deadLetter)?.job;
    // Any version may have written the data. Only fields that all versions write are read.
    return { contentId: isObject(data) ? dedupeRecordOf(signalId, data, 0).contentId : undefined };
  };

  return async (
    { signalId, contentId }: NewJob,
    enqueued: EnqueueIfAbsentResult,
    isLastAttempt: boolean,
  ): Promise<Facts> => {
    const facts = { signalId, contentId, added: enqueued.kind === 'added', isLastAttempt };
    if (enqueued.kind === 'added') return facts;
    const { recordedContentId: recorded, queued } = enqueued;
    const job = recorded === undefined && queued ? await readJob(signalId) : undefined;
    const skip = recorded === contentId ? await readSkip(signalId) : undefined;
    if (toReopen({ job, skip }) !== undefined) return { ...facts, job, skip };
    const existing =
      recorded === undefined ? await readExisting(signalId) : { contentId: recorded };
    if (existing === undefined || isConflict({ ...facts, existing })) return { ...facts, existing };
    return { ...facts, existing, state: await lookup.stateOf(signalId) };
  };
};

type JobContext = Pick<Deps, 'cipher' | 'dedupeWindowMs'> & {
  acceptedAt: string;
  trace: TraceContext | undefined;
};

const toJob = (
  { signalId, signal, contentId, from, reportTo }: NewSignal,
  { acceptedAt, dedupeWindowMs, cipher, trace }: JobContext,
): NewJob => {
  const data = {
    ...encryptToken(signal, signalId, cipher),
    // Default values are left out: a long queue would otherwise store mostly these beside the signals.
    ...(contentId === signalId ? {} : { contentId }),
    ...(dedupeWindowMs === DEDUPE_WINDOW_MS ? {} : { dedupeWindowMs }),
    ...(reportTo === undefined ? {} : { reportTo }),
    acceptedAt,
    acceptedFrom: from,
    ...trace,
  };
  return { signalId, contentId, data: { version: SIGNAL_JOB_VERSION, ...data } };
};

const encryptToken = (signal: Signal, signalId: string, cipher: Pick<TokenCipher, 'encrypt'>) => {
  const { token, ...rest } = signal;
  const ciphertext = token === undefined ? undefined : cipher.encrypt(token, signalId);
  if (token === undefined || ciphertext === undefined) return { signal };
  return { signal: rest, encryptedToken: { ciphertext, fingerprint: fingerprintOf(token) } };
};
