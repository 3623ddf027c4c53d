import { boundValue } from '../../observability/boundValue.ts';
import type { Logger } from '../../observability/logger.ts';
import type { SeekError } from '../../schemas/seekApi.ts';
import type { Attempt, SeekAnswer } from '../../schemas/signalJob.ts';
import type { Permit } from '../circuitBreaker/circuitBreaker.ts';
import {
  classify,
  isUnknownMutation,
  mayRefuseToken,
  type Outcome,
  type SendResult,
} from '../seek/classify.ts';
import { createGatewayRefusals } from './gatewayRefusals.ts';
import type { UnconfirmedAnswer } from './reportUnconfirmed.ts';
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
  /** Of the request that decided the outcome. Absent if none was made. */
  requestId?: string;
  /** The answer says nothing about the signal. */
  outage?: true;
  /** All of SEEK's errors, for the log. */
  errors?: SeekError[];
  /** The value of an answer without errors that was not `true`. */
  seekAnswer?: SeekAnswer;
  /** The seek token that was sent, for a signal that names an application. */
  tokenUsed?: Attempt['tokenUsed'];
};

/** How delivery of one signal ended. */
export type DeliveryResult = Attempted | Deferred | Released;

/** Called once for each signal. */
export type OnResult<Sent extends Entry> = (entry: Sent, delivery: DeliveryResult) => void;

// SEEK's errors can be as long as its answer. In characters.
export const MAX_LOGGED_ERRORS = 4_000;

type Deps<Sent extends Entry> = {
  sendAuthorised: SendAuthorised;
  /** Whether this worker still holds the signal. One that it has lost is not sent. */
  isHeld: (entry: Sent) => boolean;
  /** Fires when the worker stops. Signals that were not sent are released. */
  abort: AbortSignal;
  logger: Pick<Logger, 'info' | 'error'>;
  /** Called when the server has no `sendSignals`. */
  onUnknownMutation: () => void;
  /** Called for each answer without errors whose value is not `true`. */
  onUnconfirmed: (answer: UnconfirmedAnswer) => void;
};

/**
 * Sends signals in one request, and makes sure that a bad signal does not cost the others an attempt.
 * SEEK gives one answer for all, so a rejected batch counts as rejected whole. If the answer names
 * rows, the other rows are sent again; if SEEK then accepts them, the named rows were the bad ones.
 * Otherwise the batch is split, down to single signals.
 */
export const createBisectBatch = <Sent extends Entry>({
  sendAuthorised,
  isHeld,
  abort,
  logger,
  ...deps
}: Deps<Sent>) => {
  const { onUnknownMutation, onUnconfirmed } = deps;
  const gatewayRefusals = createGatewayRefusals();

  /** Whether the answer says nothing about the signal, because the address of SEEK refuses others too. */
  const isOutage = ({ signalId }: Entry, { result, breakerOpen }: Answered): boolean =>
    result.kind === 'unreadable' &&
    (breakerOpen || (mayRefuseToken(result) && gatewayRefusals.refuse(signalId)));

  /** Resolves with whether SEEK accepted all entries in one request. */
  const bisectBatch = async (
    entries: readonly Sent[],
    context: SendContext,
    onResult: OnResult<Sent>,
  ): Promise<boolean> => {
    const live = abort.aborted ? [] : entries.filter(isHeld);
    if (live.length < entries.length) releaseOthers(entries, live, onResult);
    if (live.length === 0) return false;

    const sent = await sendAuthorised(live, context, abort);
    if (sent.kind !== 'answered') {
      for (const entry of live) onResult(entry, sent);
      return false;
    }
    const { result, requestId } = sent;
    if (result.kind === 'accepted' && result.unconfirmed !== undefined) {
      onUnconfirmed({ requestId, value: result.unconfirmed, signals: live.length });
    }
    if (result.kind === 'accepted' || live.length === 1) {
      for (const entry of live) {
        if (result.kind === 'accepted') gatewayRefusals.accept(entry.signalId);
        onResult(entry, toAttempted(sent, isOutage(entry, sent)));
      }
      return result.kind === 'accepted';
    }

    const errors =
      result.kind === 'refused' ? boundValue(result.errors, MAX_LOGGED_ERRORS) : undefined;
    logger.info({ requestId, signals: live.length, result: result.kind, errors }, 'batch.rejected');
    if (isUnknownMutation(result)) {
      onUnknownMutation();
      for (const entry of live) await bisectBatch([entry], context, onResult);
      return false;
    }
    const rejected = rejectedRows(result, live.length);
    if (rejected.size > 0) {
      await confirmRejected({ entries: live, rejected, sent, context, onResult });
    } else {
      const parts = split(live, result.kind === 'unreachable');
      await allEnded(parts.map((part) => bisectBatch(part, context, onResult)));
    }
    return false;
  };

  /**
   * SEEK does not document how it numbers rows. Only if it accepts the other rows are the named ones
   * certainly the bad ones. If it does not, each named row is sent alone to get its own answer.
   */
  const confirmRejected = async ({
    entries,
    rejected,
    sent,
    context,
    onResult,
  }: RejectedBatch<Sent>): Promise<void> => {
    const others = entries.filter((_, row) => !rejected.has(row));
    const acceptsOthers =
      others.length === 0 ? Promise.resolve(true) : bisectBatch(others, context, onResult);
    const isConfirmed = await acceptsOthers.catch(() => false);

    const sentAlone = entries.flatMap((entry, row) => {
      const errors = rejected.get(row);
      if (errors === undefined) return [];
      if (!isConfirmed) return [bisectBatch([entry], context, onResult)];
      onResult(entry, toAttempted({ ...sent, result: { kind: 'refused', errors } }));
      return [];
    });
    await allEnded([acceptsOthers, ...sentAlone]);
  };

  return async (
    entries: readonly Sent[],
    permit: Permit,
    onResult: OnResult<Sent>,
  ): Promise<void> => {
    const open = new Set(entries);
    const endEntry: OnResult<Sent> = (entry, delivery) => {
      if (open.delete(entry)) onResult(entry, delivery);
    };
    try {
      await bisectBatch(entries, { permit, renewed: false }, endEntry);
    } catch (err) {
      const signalIds = [...open].map(({ signalId }) => signalId);
      const fault = toFault(err);
      logger.error({ signalIds, ...fault }, 'Attempt failed: internal error');
      for (const entry of open) endEntry(entry, toFaultRetry(fault));
    }
  };
};

export type BisectBatch<Sent extends Entry> = ReturnType<typeof createBisectBatch<Sent>>;

type RejectedBatch<Sent extends Entry> = {
  entries: readonly Sent[];
  /** The rows that SEEK named, each with its own errors. */
  rejected: ReadonlyMap<number, SeekError[]>;
  sent: Answered;
  context: SendContext;
  onResult: OnResult<Sent>;
};

const releaseOthers = <Sent extends Entry>(
  entries: readonly Sent[],
  live: readonly Sent[],
  onResult: OnResult<Sent>,
): void => {
  const kept = new Set(live);
  for (const entry of entries) if (!kept.has(entry)) onResult(entry, { kind: 'released' });
};

/** The name and the stack frames only: the message can repeat a token. */
const toFault = (err: unknown): { fault: string; at?: string[] | undefined } =>
  err instanceof Error
    ? { fault: err.name, at: err.stack?.split('\n').filter((line) => /^ +at /.test(line)) }
    : { fault: 'unknown' };

/** An internal error spends an attempt, so that a bug cannot retry the signal forever. */
const toFaultRetry = ({ fault }: { fault: string }): DeliveryResult => ({
  kind: 'attempted',
  outcome: { kind: 'retry', code: 'FAULT', reason: `internal error: ${fault}` },
});

/** Rejects only after all parts have ended, because the other parts still report their results. */
const allEnded = async (parts: readonly Promise<unknown>[]): Promise<void> => {
  const ended = await Promise.allSettled(parts);
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
};

const toAttempted = ({ result, requestId }: Answered, isOutage = false): Attempted => {
  const outcome = classify(result);
  return {
    kind: 'attempted',
    outcome: isOutage ? exonerate(outcome) : outcome,
    requestId,
    ...(isOutage ? { outage: true as const } : {}),
    ...(result.kind === 'refused' ? { errors: result.errors } : {}),
    ...(result.kind === 'accepted' && result.unconfirmed !== undefined
      ? { seekAnswer: result.unconfirmed }
      : {}),
  };
};

/** The outcome of an answer without GraphQL that says nothing about the signal: the signal is not at fault. */
const exonerate = (outcome: Outcome): Outcome => {
  if (outcome.kind === 'dead') return { ...outcome, kind: 'retry' };
  if (outcome.kind !== 'retry') return outcome;
  const { maxInARow, ...retry } = outcome;
  return retry;
};

/**
 * Two halves. If the request timed out, each round can take a full timeout, so smaller parts keep
 * the number of rounds low.
 */
const split = <Sent>(entries: readonly Sent[], timedOut: boolean): (readonly Sent[])[] => {
  const half = Math.ceil(entries.length / 2);
  // `min` keeps two entries from forming one part of two, which would repeat the same request.
  const size = timedOut ? Math.min(half, Math.ceil(Math.sqrt(entries.length))) : half;
  return Array.from({ length: Math.ceil(entries.length / size) }, (_, part) =>
    entries.slice(part * size, (part + 1) * size),
  );
};

// RFC 6901, section 4: an array index has no leading zeros.
const POINTER = /^\/input\/signals\/(0|[1-9]\d?)(?:\/|$)/;

/**
 * The rows that SEEK's answer names, each with its own errors, in the form they would have if the
 * signal had been sent alone. Empty if any error concerns more than rows: then no row is to blame.
 */
export const rejectedRows = (result: SendResult, rows: number): Map<number, SeekError[]> => {
  const rejected = new Map<number, SeekError[]>();
  if (result.kind !== 'refused') return rejected;

  for (const error of result.errors) {
    if (error.extensions?.code !== 'BAD_USER_INPUT') return new Map();
    for (const [row, fields] of fieldsByRow(error.extensions.invalidFields, rows)) {
      const own = { ...error, extensions: { ...error.extensions, invalidFields: fields } };
      rejected.set(row, [...(rejected.get(row) ?? []), own]);
    }
  }
  return rejected;
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
