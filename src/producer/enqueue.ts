import { setImmediate as nextTurn } from 'node:timers/promises';

import { withDeadline } from '../deadline.ts';
import type { Logger } from '../logging.ts';
import type { Acceptance, NewSignal, SignalQueue } from '../queue/signalQueue.ts';
import { type ParseOptions, parseSignal } from '../schemas/parseSignal.ts';
import type { SignalState } from '../schemas/states.ts';
import { applyWorkflow } from './applyWorkflow.ts';
import { IdempotencyConflictError, InvalidSignalError, QueueUnavailableError } from './errors.ts';
import { identify } from './identify.ts';

export type EnqueueResult = {
  /** A UUID: the same for the same signal, anywhere. */
  signalId: string;
  /** It was accepted before, and nothing was queued now. `false` also for one that was skipped for want of a token. */
  duplicate: boolean;
  /** Where the signal is at present. */
  state: SignalState;
  /** What SEEK takes but probably was not meant; each line begins with a JSON pointer. */
  warnings?: string[];
};

export type Sender = {
  /** The name of the API key, or of the application. */
  from: string;
  /** Stands for the signal in place of its content, among the keys of the same sender. */
  idempotencyKey?: string | undefined;
};

type Deps = {
  queue: Pick<SignalQueue, 'accept'>;
  parse: Omit<ParseOptions, 'now' | 'isModelled'>;
  /** The longest that a caller waits. */
  deadlineMs: number;
  logger: Logger;
  /** Called once for each signal that was not a duplicate. */
  onAccepted?: (typeCode: string) => void;
};

// As many as the queue takes in one step.
const AT_ONCE = 100;

type Entry = { signal: NewSignal; warnings: string[] };

/** Validate → identify → enqueue. Each result is an answer or an error; the queue's own fault throws. */
export const createEnqueue = ({ queue, parse, deadlineMs, logger, onAccepted }: Deps) => {
  const prepare = (
    input: unknown,
    { from, idempotencyKey }: Sender,
  ): Entry | InvalidSignalError => {
    const { input: signalInput, invalidFields, isModelled } = applyWorkflow(input);
    const parsed = parseSignal(signalInput, { ...parse, now: new Date(), isModelled });
    if (parsed.kind === 'invalid' || Object.keys(invalidFields).length > 0) {
      const others = parsed.kind === 'invalid' ? parsed.invalidFields : {};
      return new InvalidSignalError({ ...others, ...invalidFields });
    }
    const { signal, warnings } = parsed;
    const key = idempotencyKey === undefined ? undefined : { scope: from, key: idempotencyKey };
    return { signal: { ...identify(signal, key), signal, from }, warnings };
  };

  const accept = (signals: NewSignal[]): Promise<Acceptance[]> => {
    const unavailable = (cause?: unknown) => new QueueUnavailableError({ cause });
    const accepting = queue.accept(signals).catch((cause: unknown) => {
      throw unavailable(cause);
    });
    return withDeadline(accepting, deadlineMs, unavailable);
  };

  const log = ({ signal: { signalId, signal, from } }: Entry, { duplicate }: EnqueueResult) => {
    if (!duplicate) onAccepted?.(signal.typeCode);
    logger.info({ signalId, typeCode: signal.typeCode, from, duplicate }, 'signal.accepted');
  };

  return async (
    given: readonly unknown[],
    sender: Sender,
  ): Promise<(EnqueueResult | InvalidSignalError | IdempotencyConflictError)[]> => {
    // The list stays the caller's, who may use it for the next ones.
    const inputs = [...given];
    const entries: (Entry | InvalidSignalError)[] = [];
    // Within one call, too, only the first of equal signals is new.
    const firsts = new Map<string, Entry>();
    const accepting: Promise<Acceptance[]>[] = [];
    // The queue takes some while we look at the next.
    for (let at = 0; at < inputs.length; at += AT_ONCE) {
      const fresh: NewSignal[] = [];
      for (const input of inputs.slice(at, at + AT_ONCE)) {
        const entry = prepare(input, sender);
        entries.push(entry);
        if (entry instanceof Error || firsts.has(entry.signal.signalId)) continue;
        firsts.set(entry.signal.signalId, entry);
        fresh.push(entry.signal);
      }
      if (fresh.length > 0) accepting.push(heardOfLater(accept(fresh)));
      if (at + AT_ONCE < inputs.length) await nextTurn();
    }
    const answers = new Map(
      (await Promise.all(accepting)).flat().map((answer) => [answer.signalId, answer]),
    );

    return entries.map((entry) => {
      if (entry instanceof Error) return entry;
      const answer = answers.get(entry.signal.signalId);
      if (answer === undefined) throw new QueueUnavailableError();
      if (answer.kind === 'conflict') return new IdempotencyConflictError(answer.signalId);
      const { signalId, state } = answer;
      const duplicate = answer.duplicate || firsts.get(signalId) !== entry;
      const { warnings } = entry;
      const result = { signalId, duplicate, state, ...(warnings.length > 0 ? { warnings } : {}) };
      log(entry, result);
      return result;
    });
  };
};

/** Nobody waits for it yet: a rejection must not end the process meanwhile. */
const heardOfLater = <T>(promise: Promise<T>): Promise<T> => {
  promise.catch(() => {});
  return promise;
};

export type Enqueue = ReturnType<typeof createEnqueue>;
