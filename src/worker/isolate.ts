import type { Logger } from '../logging.ts';
import type { SeekError } from '../schemas/seekApi.ts';
import { classify, isUnknownMutation, type Outcome, type SendResult } from './classify.ts';
import type { Deferred, Entry, Exchange, HandedBack } from './exchange.ts';
import type { Pass } from './lane.ts';
import { namedRows } from './namedRows.ts';

export type Attempted = {
  kind: 'attempted';
  outcome: Outcome;
  /** Of the request that decided; absent where none was made. */
  requestId?: string;
  /** The whole of what SEEK said was wrong, for the log. */
  errors?: SeekError[];
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
 * of them, so a refused batch is taken for refused whole: the rows that the answer names are judged
 * and the rest is sent again; where it names none, parts of it are sent, down to single
 * signals, whose answer is theirs alone.
 */
export const createIsolate = ({ exchange, logger, onUnknown }: Deps) => {
  const isolate = async (entries: readonly Entry[], pass: Pass, settle: Settle): Promise<void> => {
    const here = entries.filter((entry) => !entry.abort?.aborted);
    for (const entry of entries) if (entry.abort?.aborted) settle(entry, { kind: 'handedBack' });
    if (here.length === 0) return;

    const exchanged = await exchange(here, pass, allAborted(here));
    if (exchanged.kind !== 'answered') {
      for (const entry of here) settle(entry, exchanged);
      return;
    }
    const { requestId, result } = exchanged;
    if (result.kind === 'accepted' || here.length === 1) {
      for (const entry of here) settle(entry, attempted(result, requestId));
      return;
    }

    const errors = result.kind === 'refused' ? result.errors : undefined;
    logger.info({ requestId, signals: here.length, result: result.kind, errors }, 'batch.refused');
    if (isUnknownMutation(result)) {
      onUnknown();
      for (const entry of here) await isolate([entry], pass, settle);
      return;
    }
    const named = namedRows(result, here.length);
    for (const [row, own] of named) {
      const entry = here[row];
      if (entry !== undefined)
        settle(entry, attempted({ kind: 'refused', errors: own }, requestId));
    }
    const rest = here.filter((_, row) => !named.has(row));
    const parts = named.size > 0 ? [rest] : pieces(rest, result.kind === 'unreachable');
    const ended = await Promise.allSettled(parts.map((part) => isolate(part, pass, settle)));
    // A fault in one part waits for the others: what is under way there is still going to be settled.
    for (const end of ended) if (end.status === 'rejected') throw end.reason;
  };

  return isolate;
};

export type Isolate = ReturnType<typeof createIsolate>;

const attempted = (
  result: Exclude<SendResult, { kind: 'aborted' }>,
  requestId: string,
): Attempted => ({
  kind: 'attempted',
  outcome: classify(result),
  requestId,
  ...(result.kind === 'refused' ? { errors: result.errors } : {}),
});

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
const allAborted = (entries: readonly Entry[]): AbortSignal | undefined => {
  const aborts = entries.flatMap(({ abort }) => (abort === undefined ? [] : [abort]));
  if (aborts.length < entries.length) return undefined;
  if (aborts.length === 1) return aborts[0];
  const all = new AbortController();
  let left = aborts.length;
  for (const abort of aborts) {
    const gone = () => {
      left -= 1;
      if (left === 0) all.abort(abort.reason);
    };
    if (abort.aborted) gone();
    else abort.addEventListener('abort', gone, { once: true });
  }
  return all.signal;
};
