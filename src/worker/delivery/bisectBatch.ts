import type { Logger } from '../../observability/logger.ts';
import type { SeekError } from '../../schemas/seekApi.ts';
import type { Attempt } from '../../schemas/signalJob.ts';
import type { Permit } from '../circuitBreaker/circuitBreaker.ts';
import { classify, isUnknownMutation, type Outcome, type SendResult } from '../seek/classify.ts';
import type {
  Answered,
  Deferred,
  Entry,
  Released,
  SendAuthorised,
  SendContext,
} from './sendAuthorised.ts';

export type Attempted = {
  kind: 'attempted';
  outcome: Outcome;
  /** Of the request that decided; absent where none was made. */
  requestId?: string;
  /** The whole of what SEEK said was wrong, for the log. */
  errors?: SeekError[];
  /** Which seek token it went with, if it names an application. */
  tokenUsed?: Attempt['tokenUsed'];
};

/** What became of one signal in hand. */
export type DeliveryResult = Attempted | Deferred | Released;

type Settle = (entry: Entry, delivery: DeliveryResult) => void;

type Deps = {
  sendAuthorised: SendAuthorised;
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
export const createBisectBatch = ({ sendAuthorised, logger, onUnknown }: Deps) => {
  /** Resolves with whether SEEK took all of them at once. */
  const bisectBatch = async (
    entries: readonly Entry[],
    context: SendContext,
    settle: Settle,
  ): Promise<boolean> => {
    const here = entries.filter((entry) => !entry.abort?.aborted);
    for (const entry of entries) if (entry.abort?.aborted) settle(entry, { kind: 'released' });
    if (here.length === 0) return false;

    const abort = whenAllAbort(here);
    const sent = await sendAuthorised(here, context, abort.signal).finally(abort.forget);
    if (sent.kind !== 'answered') {
      for (const entry of here) settle(entry, sent);
      return false;
    }
    const { result } = sent;
    if (result.kind === 'accepted' || here.length === 1) {
      for (const entry of here) settle(entry, attempted(sent));
      return result.kind === 'accepted';
    }

    const { requestId } = sent;
    const errors = result.kind === 'refused' ? result.errors : undefined;
    logger.info({ requestId, signals: here.length, result: result.kind, errors }, 'batch.rejected');
    if (isUnknownMutation(result)) {
      onUnknown();
      for (const entry of here) await bisectBatch([entry], context, settle);
      return false;
    }
    const named = rejectedRows(result, here.length);
    if (named.size > 0) {
      await isolateNamed({ here, named, sent, context, settle });
    } else {
      const parts = pieces(here, result.kind === 'unreachable');
      await allOf(parts.map((part) => bisectBatch(part, context, settle)));
    }
    return false;
  };

  /**
   * Which row a number means is SEEK's to say, and not documented: only when it takes the others is
   * nobody else to blame. Until then each of the named has an answer of its own to come.
   */
  const isolateNamed = async ({ here, named, sent, context, settle }: Named): Promise<void> => {
    const rest = here.filter((_, row) => !named.has(row));
    const tookRest = rest.length === 0 ? Promise.resolve(true) : bisectBatch(rest, context, settle);
    const areToBlame = await tookRest.catch(() => false);

    const judged = here.flatMap((entry, row) => {
      const errors = named.get(row);
      if (errors === undefined) return [];
      if (!areToBlame) return [bisectBatch([entry], context, settle)];
      settle(entry, attempted({ ...sent, result: { kind: 'refused', errors } }));
      return [];
    });
    await allOf([tookRest, ...judged]);
  };

  return async (entries: readonly Entry[], permit: Permit, settle: Settle): Promise<void> => {
    await bisectBatch(entries, { permit, renewed: false }, settle);
  };
};

export type BisectBatch = ReturnType<typeof createBisectBatch>;

type Named = {
  here: readonly Entry[];
  named: ReadonlyMap<number, SeekError[]>;
  sent: Answered;
  context: SendContext;
  settle: Settle;
};

/** A fault in one part waits for the others: what is under way there is still going to be settled. */
const allOf = async (parts: readonly Promise<unknown>[]): Promise<void> => {
  const ended = await Promise.allSettled(parts);
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
};

const attempted = ({ result, requestId, breakerOpen }: Answered): Attempted => {
  const outcome = classify(result);
  // An answer that is not GraphQL is no signal's fault while the lane is closed for such answers.
  const isTrouble = breakerOpen && result.kind === 'unreadable' && outcome.kind === 'dead';
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
export const rejectedRows = (result: SendResult, rows: number): Map<number, SeekError[]> => {
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
