import type { Logger } from '../../observability/logger.ts';
import type { SeekError } from '../../schemas/seekApi.ts';
import type { Attempt } from '../../schemas/signalJob.ts';
import type { Pass } from '../circuitBreaker/circuitBreaker.ts';
import { classify, isUnknownMutation, type Outcome, type SendResult } from '../seek/classify.ts';
import type { Answered, Deferred, Entry, Errand, Exchange, HandedBack } from './sendAuthorised.ts';

export type Attempted = {
  kind: 'attempted';
  outcome: Outcome;
  /** Of the request that decided; absent where none was made. */
  requestId?: string;
  /** The whole of what SEEK said was wrong, for the log. */
  errors?: SeekError[];
  /** Which seek token it went with, if it names an application. */
  bound?: Attempt['bound'];
};

/** What became of one signal in hand. */
export type Dispatched = Attempted | Deferred | HandedBack;

type Settle = (entry: Entry, dispatched: Dispatched) => void;

type Deps = {
  exchange: Exchange;
  logger: Pick<Logger, 'info'>;
  /** The server has no `sendSignals`. */
  onUnknown: () => void;
};

/**
 * Sends signals together, and sees to it that none suffers for another. SEEK gives one answer for all
 * of them, so a refused batch is taken for refused whole. Where the answer names rows, the rest is sent
 * again, and once SEEK takes that, it was those. Otherwise parts are sent, down to single signals, whose
 * answer is theirs alone.
 */
export const createIsolate = ({ exchange, logger, onUnknown }: Deps) => {
  /** Resolves with whether SEEK took all of them at once. */
  const isolate = async (
    entries: readonly Entry[],
    errand: Errand,
    settle: Settle,
  ): Promise<boolean> => {
    const here = entries.filter((entry) => !entry.abort?.aborted);
    for (const entry of entries) if (entry.abort?.aborted) settle(entry, { kind: 'handedBack' });
    if (here.length === 0) return false;

    const abort = whenAllAbort(here);
    const exchanged = await exchange(here, errand, abort.signal).finally(abort.forget);
    if (exchanged.kind !== 'answered') {
      for (const entry of here) settle(entry, exchanged);
      return false;
    }
    const { result } = exchanged;
    if (result.kind === 'accepted' || here.length === 1) {
      for (const entry of here) settle(entry, attempted(exchanged));
      return result.kind === 'accepted';
    }

    const { requestId } = exchanged;
    const errors = result.kind === 'refused' ? result.errors : undefined;
    logger.info({ requestId, signals: here.length, result: result.kind, errors }, 'batch.refused');
    if (isUnknownMutation(result)) {
      onUnknown();
      for (const entry of here) await isolate([entry], errand, settle);
      return false;
    }
    const named = namedRows(result, here.length);
    if (named.size > 0) {
      await isolateNamed({ here, named, exchanged, errand, settle });
    } else {
      const parts = pieces(here, result.kind === 'unreachable');
      await allOf(parts.map((part) => isolate(part, errand, settle)));
    }
    return false;
  };

  /**
   * Which row a number means is SEEK's to say, and not documented: only when it takes the others is
   * nobody else to blame. Until then each of the named has an answer of its own to come.
   */
  const isolateNamed = async ({ here, named, exchanged, errand, settle }: Named): Promise<void> => {
    const rest = here.filter((_, row) => !named.has(row));
    const tookRest = rest.length === 0 ? Promise.resolve(true) : isolate(rest, errand, settle);
    const areToBlame = await tookRest.catch(() => false);

    const judged = here.flatMap((entry, row) => {
      const errors = named.get(row);
      if (errors === undefined) return [];
      if (!areToBlame) return [isolate([entry], errand, settle)];
      settle(entry, attempted({ ...exchanged, result: { kind: 'refused', errors } }));
      return [];
    });
    await allOf([tookRest, ...judged]);
  };

  return async (entries: readonly Entry[], pass: Pass, settle: Settle): Promise<void> => {
    await isolate(entries, { pass, renewed: false }, settle);
  };
};

export type Isolate = ReturnType<typeof createIsolate>;

type Named = {
  here: readonly Entry[];
  named: ReadonlyMap<number, SeekError[]>;
  exchanged: Answered;
  errand: Errand;
  settle: Settle;
};

/** A fault in one part waits for the others: what is under way there is still going to be settled. */
const allOf = async (parts: readonly Promise<unknown>[]): Promise<void> => {
  const ended = await Promise.allSettled(parts);
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
};

const attempted = ({ result, requestId, laneClosed }: Answered): Attempted => {
  const outcome = classify(result);
  // An answer that is not GraphQL is no signal's fault while the lane is closed for such answers.
  const isTrouble = laneClosed && result.kind === 'unreadable' && outcome.kind === 'dead';
  return {
    kind: 'attempted',
    outcome: isTrouble ? { ...outcome, kind: 'retry' } : outcome,
    requestId,
    ...(result.kind === 'refused' ? { errors: result.errors } : {}),
  };
};

/** Halves; smaller ones where each answer takes as long as a timeout, so that there are few rounds. */
const pieces = (entries: readonly Entry[], slow: boolean): (readonly Entry[])[] => {
  const half = Math.ceil(entries.length / 2);
  // Never the whole again: the square root of two, rounded up, would be two.
  const size = slow ? Math.min(half, Math.ceil(Math.sqrt(entries.length))) : half;
  return Array.from({ length: Math.ceil(entries.length / size) }, (_, piece) =>
    entries.slice(piece * size, (piece + 1) * size),
  );
};

/** One that has to go does not take the others' request with it. */
const whenAllAbort = (entries: readonly Entry[]) => {
  const aborts = entries.flatMap(({ abort }) => (abort === undefined ? [] : [abort]));
  const [only] = aborts;
  if (aborts.length < entries.length) return { signal: undefined, forget: () => {} };
  if (aborts.length === 1) return { signal: only, forget: () => {} };
  const all = new AbortController();
  // One that has not aborted is listened to; once it has, another one, if there is any.
  let heard: AbortSignal | undefined;
  const listen = (): void => {
    heard = aborts.find(({ aborted }) => !aborted);
    if (heard === undefined) all.abort(only?.reason);
    else heard.addEventListener('abort', listen, { once: true });
  };
  listen();
  return {
    signal: all.signal,
    // A signal may be in many requests, one after the other.
    forget: (): void => heard?.removeEventListener('abort', listen),
  };
};

// RFC 6901, 4: an index has no leading zeros.
const POINTER = /^\/input\/signals\/(0|[1-9]\d?)(?:\/|$)/;

/**
 * Which rows of a refused batch the answer blames, each with the errors that are its own, told as if
 * it had been sent alone. Empty where the answer blames anything but rows: then nobody is judged.
 */
export const namedRows = (result: SendResult, rows: number): Map<number, SeekError[]> => {
  const named = new Map<number, SeekError[]>();
  if (result.kind !== 'refused') return named;

  for (const error of result.errors) {
    if (error.extensions?.code !== 'BAD_USER_INPUT') return new Map();
    for (const [row, fields] of fieldsByRow(error.extensions.invalidFields, rows)) {
      const own = { ...error, extensions: { ...error.extensions, invalidFields: fields } };
      named.set(row, [...(named.get(row) ?? []), own]);
    }
  }
  return named;
};

const fieldsByRow = (invalidFields: unknown, rows: number) => {
  const byRow = new Map<number, Record<string, unknown>>();
  if (typeof invalidFields !== 'object' || invalidFields === null) return byRow;
  for (const [pointer, problem] of Object.entries(invalidFields)) {
    const row = Number(POINTER.exec(pointer)?.[1] ?? Number.NaN);
    if (!(row < rows)) continue;
    const own = pointer.replace(/^\/input\/signals\/\d+/, '/input');
    const fields = byRow.get(row) ?? {};
    fields[own] = problem;
    byRow.set(row, fields);
  }
  return byRow;
};
