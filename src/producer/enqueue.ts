import { context, SpanKind, type Tracer } from '@opentelemetry/api';
import type { Logger } from '../observability/logger.ts';
import {
  fail,
  idsOf,
  openTracer,
  QUEUE_ATTRIBUTES,
  type Span,
  toTraceContext,
} from '../observability/tracing.ts';
import type { Acceptance, NewSignal, SignalQueue } from '../queue/acceptSignals.ts';
import { withDeadline } from '../runtime/async.ts';
import type { InvalidFields } from '../schemas/invalidFields.ts';
import type { SignalState } from '../schemas/signalRecord.ts';
import { IdempotencyConflictError, InvalidSignalError, QueueUnavailableError } from './errors.ts';
import { type Prepared, prepareSignal, type Rules, type Sender } from './prepareSignal.ts';

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

type Deps = {
  queue: Pick<SignalQueue, 'accept'>;
  parse: Rules;
  deadlineMs?: number;
  logger: Logger;
  /** Called once for each signal that was not a duplicate. */
  onAccepted?: (typeCode: string) => void;
};

/** The longest that a caller waits, unless told otherwise: below the 5 seconds that are promised. */
export const ENQUEUE_TIMEOUT_MS = 4_500;

// As many as the queue takes in one step.
const AT_ONCE = 50;

/** Validate → identify → enqueue. Each result is an answer or an error; the queue's own fault throws. */
export const createEnqueue = ({
  queue,
  parse,
  deadlineMs = ENQUEUE_TIMEOUT_MS,
  logger,
  onAccepted,
}: Deps) => {
  const tracer = openTracer();
  const accept = async (signals: NewSignal[], span: Span): Promise<Acceptance[]> => {
    if (signals.length === 0) return [];
    const unavailable = (cause?: unknown) => new QueueUnavailableError({ cause });
    const accepting = queue.accept(signals, toTraceContext(span)).catch((cause: unknown) => {
      throw unavailable(cause);
    });
    return withDeadline(accepting, deadlineMs, unavailable);
  };

  const log = (
    { signal: { signalId, signal, from } }: Prepared,
    { duplicate }: EnqueueResult,
    span: Span,
  ) => {
    if (!duplicate) onAccepted?.(signal.typeCode);
    const { typeCode } = signal;
    logger.info({ signalId, typeCode, from, duplicate, ...idsOf(span) }, 'signal.accepted');
  };

  const enqueue = async (
    given: readonly unknown[],
    sender: Sender,
    span: Span,
  ): Promise<Results> => {
    // Within one call, too, only the first of equal signals is new.
    const firsts = new Map<string, Prepared>();
    const accepting: Promise<Acceptance[]>[] = [];
    let fresh: NewSignal[] = [];
    const acceptThese = (): void => {
      const accepted = accept(fresh, span);
      // Nobody may be left to hear of it, should what comes next be an object that throws.
      accepted.catch(() => {});
      accepting.push(accepted);
      fresh = [];
    };
    // All in this turn: what was given stays the caller's, who may use it again at once. The queue has
    // the first of them by the time the last are looked at.
    const entries = given.map((input) => {
      const entry = prepareSignal(input, sender, parse);
      if (!(entry instanceof Error) && !firsts.has(entry.signal.signalId)) {
        firsts.set(entry.signal.signalId, entry);
        fresh.push(entry.signal);
        if (fresh.length === AT_ONCE) acceptThese();
      }
      return entry;
    });
    acceptThese();
    const accepted = await Promise.all(accepting);
    const answers = new Map(accepted.flat().map((answer) => [answer.signalId, answer]));

    return entries.map((entry) => {
      if (entry instanceof Error) return entry;
      const answer = answers.get(entry.signal.signalId);
      if (answer === undefined) throw new QueueUnavailableError();
      if (answer.kind === 'conflict') return new IdempotencyConflictError(answer.signalId);
      const { signalId, state } = answer;
      const duplicate = answer.duplicate || firsts.get(signalId) !== entry;
      const { warnings } = entry;
      const result = { signalId, duplicate, state, ...(warnings.length > 0 ? { warnings } : {}) };
      log(entry, result, span);
      return result;
    });
  };

  return (given: readonly unknown[], sender: Sender): Promise<Results> =>
    inEnqueueSpan(tracer, given.length, (span) => enqueue(given, sender, span));
};

type Results = (EnqueueResult | InvalidSignalError | IdempotencyConflictError)[];

export type Enqueue = ReturnType<typeof createEnqueue>;

/** An invalid signal's place among the results of many. */
export type InvalidResult = { invalidFields: InvalidFields };

/** What many came to, as their sender is told: those that are invalid stop no others. */
export const toResults = (
  results: Awaited<ReturnType<Enqueue>>,
): (EnqueueResult | InvalidResult)[] =>
  results.map((result) => {
    if (result instanceof InvalidSignalError) return { invalidFields: result.invalidFields };
    if (result instanceof Error) throw result;
    return result;
  });

const NAME = `send ${QUEUE_ATTRIBUTES['messaging.destination.name']}`;

// Made once: where nobody listens, to make it would be most of what a span costs.
const ONE = {
  kind: SpanKind.PRODUCER,
  attributes: {
    ...QUEUE_ATTRIBUTES,
    'messaging.operation.type': 'send',
    'messaging.operation.name': 'send',
  },
};

const many = (signals: number) => ({
  ...ONE,
  attributes: { ...ONE.attributes, 'messaging.batch.message_count': signals },
});

type Result = { signalId: string; duplicate: boolean } | Error;

/**
 * One for a call, however many signals it brings: it continues what the caller is about. The library
 * registers no SDK; where its application has none either, this is a span that nobody keeps. `enqueue`
 * begins in this very turn.
 */
export const inEnqueueSpan = async <Results extends readonly Result[]>(
  tracer: Tracer,
  signals: number,
  enqueue: (span: Span) => Promise<Results>,
): Promise<Results> => {
  const span = tracer.startSpan(NAME, signals === 1 ? ONE : many(signals), context.active());
  try {
    const results = await enqueue(span);
    tell(span, results);
    return results;
  } catch (err) {
    fail(span, err instanceof Error ? err.name : 'unknown');
    throw err;
  } finally {
    span.end();
  }
};

const tell = (span: Span, [only, ...more]: readonly Result[]): void => {
  if (only === undefined || more.length > 0) return;
  if (only instanceof Error) fail(span, only.name);
  else {
    const { signalId, duplicate } = only;
    span.setAttributes({ 'messaging.message.id': signalId, 'seek_signals.duplicate': duplicate });
  }
};
