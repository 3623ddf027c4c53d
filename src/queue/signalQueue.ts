import type { Signal } from '../schemas/signal.ts';
import {
  SettlementSchema,
  type SignalJob,
  SignalJobSchema,
  type SkipReason,
  versionOf,
} from '../schemas/signalJob.ts';
import type { SignalState } from '../schemas/states.ts';
import { fingerprintOf, type TokenCipher } from '../tokenCipher.ts';
import { type Backend, type Claim, DEAD_LETTERS, type JobQueue, SIGNALS } from './backend.ts';
import { signalJobOptions } from './jobOptions.ts';
import { readLetter } from './readLetter.ts';
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

type Deps = {
  backend: Backend;
  lives: Pick<SignalLives, 'stateOf'>;
  /** Seals the tokens that signals come with. */
  cipher: Pick<TokenCipher, 'seal'>;
  rememberMs: number;
  now?: () => number;
};

/** What lies under an id already: in the queue, or among the dead letters. */
type Lying = { contentId: string | undefined; acceptedAt: number };

/** The only place that adds signals. */
export const createSignalQueue = ({ backend, lives, cipher, rememberMs, now = Date.now }: Deps) => {
  const { ledger } = backend;

  const add = async (queue: JobQueue, signals: NewSignal[], acceptedAt: number) => {
    const jobs = signals.map((entry) => ({
      name: entry.signal.typeCode,
      data: toJob(entry, acceptedAt, cipher),
      opts: signalJobOptions(entry.signalId, acceptedAt),
    }));
    const [first, ...rest] = jobs;
    if (first === undefined) return;
    await (rest.length === 0 ? queue.add(first.name, first.data, first.opts) : queue.addBulk(jobs));
  };

  /** Looked at only where memory has expired, or was never confirmed. */
  const findLying = async (
    queue: JobQueue,
    { signalId }: NewSignal,
  ): Promise<Lying | undefined> => {
    const letters = await backend.queue(DEAD_LETTERS);
    const job = await queue.getJob(signalId);
    const letter = readLetter(await letters.getJob(signalId));
    if (job === undefined && letter === undefined) return undefined;
    const data = SignalJobSchema.safeParse(job?.data ?? letter?.job).data;
    return {
      contentId: data?.contentId,
      acceptedAt: data === undefined ? now() : Date.parse(data.acceptedAt),
    };
  };

  /** Kept for lookups longer than it is remembered: it makes way for the same signal, sent anew. */
  const findForgotten = async (queue: JobQueue, { signalId }: NewSignal): Promise<Settled> => {
    const job = await queue.getJob(signalId);
    return job?.finishedOn !== undefined && job.timestamp + rememberMs <= now()
      ? { finishedAt: job.finishedOn }
      : undefined;
  };

  /** Skipped for want of a token: sent anew, it may find one. */
  const findSkipped = async (queue: JobQueue, { signalId }: NewSignal): Promise<Settled> => {
    const record = await ledger.findSkipped(signalId);
    if (record === undefined || !MAY_BE_SENT_YET.has(record.reason)) return undefined;
    const job = await queue.getJob(signalId);
    if (job === undefined) return { finishedAt: undefined };
    const outcome = SettlementSchema.safeParse(job.returnvalue).data?.outcome;
    return outcome === 'skipped' ? { finishedAt: job.finishedOn } : undefined;
  };

  /** Where others were at it between our looks, what we know is out of date: all is asked again. */
  const prepareAnew = async (
    queue: JobQueue,
    entry: NewSignal,
    tries: number,
  ): Promise<Prepared> => {
    // Under the same job id a second add is harmless; none would not be.
    if (tries === MOST_TRIES) return { entry, known: entry.contentId, adds: true };
    const [claim = NOTHING_KNOWN] = await ledger.claim([entry], now());
    return prepare(queue, entry, claim, tries + 1);
  };

  const prepare = async (
    queue: JobQueue,
    entry: NewSignal,
    claim: Claim,
    tries = 0,
  ): Promise<Prepared> => {
    const { remembered, queued, buried } = claim;
    const known = remembered?.contentId;
    const reopen = async (settled: NonNullable<Settled>): Promise<Prepared> =>
      (await ledger.reopen({ ...entry, acceptedAt: now() }, settled.finishedAt))
        ? { entry, known: entry.contentId, adds: true }
        : prepareAnew(queue, entry, tries);

    if (remembered?.accepted) {
      const isSame = !buried && known === entry.contentId;
      const skipped = isSame ? await findSkipped(queue, entry) : undefined;
      return skipped === undefined ? { entry, known, adds: false } : reopen(skipped);
    }
    if (!queued && !buried) return { entry, known, adds: true };
    // Somebody is adding it at this moment, and will confirm it: to be first is theirs.
    if (remembered) return { entry, known, adds: false };
    const forgotten = queued ? await findForgotten(queue, entry) : undefined;
    if (forgotten !== undefined) return reopen(forgotten);
    const lying = await findLying(queue, entry);
    if (lying === undefined) return prepareAnew(queue, entry, tries);
    return { entry, known: lying.contentId, adds: false, acceptedAt: lying.acceptedAt };
  };

  return {
    /**
     * Takes signals, in order; the ids must differ. Resolves once the queue has acknowledged every
     * write; rejects if any of them is in doubt, and may then be repeated.
     */
    accept: async (signals: NewSignal[]): Promise<Acceptance[]> => {
      const since = performance.now();
      const queue = await backend.queue(SIGNALS);
      const acceptedAt = now();
      const claims = await ledger.claim(signals, acceptedAt);
      const prepared = await Promise.all(
        signals.map((entry, index) => prepare(queue, entry, claims[index] ?? NOTHING_KNOWN)),
      );
      const agreed = prepared.filter((one) => !isConflict(one));

      await add(
        queue,
        agreed.filter(({ adds }) => adds).map(({ entry }) => entry),
        acceptedAt,
      );
      const unconfirmed = agreed.filter((one) => one.adds || one.acceptedAt !== undefined);
      const confirmed = await ledger.confirm(
        unconfirmed.map((one) => ({ ...one.entry, acceptedAt: one.acceptedAt ?? acceptedAt })),
      );
      const firsts = new Set(unconfirmed.filter((one, index) => one.adds && confirmed[index]));
      // For duplicates too: their answer promises as much.
      if (agreed.length > 0) await backend.replicated(since);

      return Promise.all(
        prepared.map(async (one): Promise<Acceptance> => {
          const { signalId } = one.entry;
          if (isConflict(one)) return { kind: 'conflict', signalId };
          if (firsts.has(one)) {
            return { kind: 'accepted', signalId, duplicate: false, state: 'waiting' };
          }
          const state = (await lives.stateOf(signalId)) ?? 'waiting';
          return { kind: 'accepted', signalId, duplicate: true, state };
        }),
      );
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

// Others are at it now and then; so many times in a row that is no accident.
const MOST_TRIES = 5;

const NOTHING_KNOWN: Claim = { queued: false, buried: false };

type Prepared = {
  entry: NewSignal;
  /** The content that stands under this id already. */
  known?: string | undefined;
  /**
   * Nothing lies under the id any more, or ever did. A claim without acceptance is no exception: it may be that of a
   * caller who died before its add, and under the same job id a second add is harmless.
   */
  adds: boolean;
  /** When what lies there was accepted. */
  acceptedAt?: number;
};

// Without an Idempotency-Key the id is the content's own. Under a key, what can't be read can't be
// compared, and to call it the same might lose what is sent now.
const isConflict = ({ entry, known, adds }: Prepared): boolean =>
  entry.signalId !== entry.contentId && known !== entry.contentId && !(adds && known === undefined);

const toJob = (
  { signalId, signal, contentId, from }: NewSignal,
  acceptedAt: number,
  cipher: Pick<TokenCipher, 'seal'>,
): SignalJob => {
  const kept = keep(signal, signalId, cipher);
  return {
    version: versionOf(kept),
    ...kept,
    contentId,
    acceptedAt: new Date(acceptedAt).toISOString(),
    acceptedFrom: from,
    redrives: 0,
    attempts: [],
  };
};

const keep = (signal: Signal, signalId: string, cipher: Pick<TokenCipher, 'seal'>) => {
  const { token, ...rest } = signal;
  const sealed = token === undefined ? undefined : cipher.seal(token, signalId);
  if (token === undefined || sealed === undefined) return { signal };
  return { signal: rest, sealedToken: { sealed, fingerprint: fingerprintOf(token) } };
};
