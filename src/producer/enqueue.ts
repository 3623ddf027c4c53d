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
import type { Acceptance, AcceptSignals, NewSignal } from '../queue/acceptSignals.ts';
import type { ExplainFailure } from '../queue/failure.ts';
import type { InvalidFields } from '../schemas/invalidFields.ts';
import type { SignalState } from '../schemas/signalRecord.ts';
import { orUnavailable } from './available.ts';
import { IdempotencyConflictError, InvalidSignalError, QueueUnavailableError } from './errors.ts';
import {
  type Prepared,
  prepareSignal,
  type Sender,
  type ValidationRules,
} from './prepareSignal.ts';

export type EnqueueResult = {
  /** A UUID, version 5, computed from the signal: the same signal always has the same id. */
  signalId: string;
  /**
   * Whether the signal was accepted before; then nothing was queued. `false` also for a signal that was
   * skipped for want of an identifier before: it is queued again.
   */
  duplicate: boolean;
  /** The present state of the signal. */
  state: SignalState;
  /** Values that SEEK accepts but that are probably mistakes. Each text begins with a JSON pointer. */
  warnings?: string[];
};

/** The result of an invalid signal in `enqueueMany` and in the batch API. */
export type InvalidResult = { invalidFields: InvalidFields };

type Result = EnqueueResult | InvalidSignalError | IdempotencyConflictError;

type Deps = {
  queue: Pick<AcceptSignals, 'accept'>;
  parse: ValidationRules;
  explainFailure: ExplainFailure;
  deadlineMs?: number;
  logger: Logger;
  /** Called once for each signal that is not a duplicate. */
  onAccepted?: (typeCode: string) => void;
};

/** How long a call may take: below the 5 seconds that the library promises. */
export const ENQUEUE_TIMEOUT_MS = 4_500;

// The largest batch that the queue writes in one step.
const MAX_BATCH_SIZE = 50;

/**
 * Validates, identifies and enqueues signals. Resolves with one result or error per signal, in order.
 * Rejects with `QueueUnavailableError` if the queue does not acknowledge all of them.
 */
export const createEnqueue = ({
  queue,
  parse,
  explainFailure,
  deadlineMs = ENQUEUE_TIMEOUT_MS,
  logger,
  onAccepted,
}: Deps) => {
  const tracer = openTracer();

  const accept = async (signals: NewSignal[], span: Span): Promise<Acceptance[]> => {
    if (signals.length === 0) return [];
    const accepting = queue.accept(signals, toTraceContext(span));
    return orUnavailable(accepting, deadlineMs, explainFailure);
  };

  const report = ({ signal: { signal, from } }: Prepared, result: Result, span: Span): void => {
    if (result instanceof Error) return;
    const { signalId, duplicate } = result;
    const { typeCode } = signal;
    if (!duplicate) onAccepted?.(typeCode);
    logger.info({ signalId, typeCode, from, duplicate, ...idsOf(span) }, 'signal.accepted');
  };

  const enqueue = async (
    inputs: readonly unknown[],
    sender: Sender,
    span: Span,
  ): Promise<Result[]> => {
    // Of equal signals in one call, only the first is new.
    const firsts = new Map<string, Prepared>();
    const accepting: Promise<Acceptance[]>[] = [];
    let batch: NewSignal[] = [];
    const submitBatch = (): void => {
      const accepted = accept(batch, span);
      // If reading a later input throws, nothing awaits this promise: its rejection must not end the process.
      accepted.catch(() => {});
      accepting.push(accepted);
      batch = [];
    };
    // Reads all inputs synchronously, because the caller may change its objects as soon as this call
    // returns a promise. Full batches go to the queue while the remaining inputs are read.
    const entries = inputs.map((input) => {
      const entry = prepareSignal(input, sender, parse);
      if (!(entry instanceof Error) && !firsts.has(entry.signal.signalId)) {
        firsts.set(entry.signal.signalId, entry);
        batch.push(entry.signal);
        if (batch.length === MAX_BATCH_SIZE) submitBatch();
      }
      return entry;
    });
    submitBatch();
    const accepted = (await Promise.all(accepting)).flat();
    const acceptances = new Map(accepted.map((acceptance) => [acceptance.signalId, acceptance]));

    return entries.map((entry) => {
      if (entry instanceof Error) return entry;
      const { signalId } = entry.signal;
      const result = toResult(entry, acceptances.get(signalId), firsts.get(signalId) === entry);
      report(entry, result, span);
      return result;
    });
  };

  return (inputs: readonly unknown[], sender: Sender): Promise<Result[]> =>
    inEnqueueSpan(tracer, inputs.length, (span) => enqueue(inputs, sender, span));
};

const NO_RESULT = { code: 'QUEUE_ERROR', message: 'The queue returned no result for a signal' };

const toResult = (
  { warnings }: Prepared,
  acceptance: Acceptance | undefined,
  isFirst: boolean,
): EnqueueResult | IdempotencyConflictError => {
  if (acceptance === undefined) throw new QueueUnavailableError(NO_RESULT);
  if (acceptance.kind === 'conflict') return new IdempotencyConflictError(acceptance.signalId);
  const { signalId, state } = acceptance;
  const duplicate = acceptance.duplicate || !isFirst;
  return { signalId, duplicate, state, ...(warnings.length > 0 ? { warnings } : {}) };
};

export type Enqueue = ReturnType<typeof createEnqueue>;

/**
 * Maps results for `enqueueMany` and the batch API: an invalid signal is reported in place and does not
 * fail the others.
 */
export const toResults = (results: readonly Result[]): (EnqueueResult | InvalidResult)[] =>
  results.map((result) => {
    if (result instanceof InvalidSignalError) return { invalidFields: result.invalidFields };
    if (result instanceof Error) throw result;
    return result;
  });

const SPAN_NAME = `send ${QUEUE_ATTRIBUTES['messaging.destination.name']}`;

// Shared by all spans of one signal: building it would be most of the cost of a span without an SDK.
const SINGLE_SPAN = {
  kind: SpanKind.PRODUCER,
  attributes: {
    ...QUEUE_ATTRIBUTES,
    'messaging.operation.type': 'send',
    'messaging.operation.name': 'send',
  },
};

const batchSpan = (count: number) => ({
  ...SINGLE_SPAN,
  attributes: { ...SINGLE_SPAN.attributes, 'messaging.batch.message_count': count },
});

/**
 * Records one span per call, as a child of the caller's active span. The library registers no SDK: unless
 * the application does, the span is a no-op. Calls `enqueue` synchronously.
 */
const inEnqueueSpan = async (
  tracer: Tracer,
  count: number,
  enqueue: (span: Span) => Promise<Result[]>,
): Promise<Result[]> => {
  const span = tracer.startSpan(
    SPAN_NAME,
    count === 1 ? SINGLE_SPAN : batchSpan(count),
    context.active(),
  );
  try {
    const results = await enqueue(span);
    annotateSpan(span, results);
    return results;
  } catch (err) {
    fail(span, err instanceof Error ? err.name : 'unknown');
    throw err;
  } finally {
    span.end();
  }
};

/** Adds the result of a call with one signal to its span. */
const annotateSpan = (span: Span, [only, ...more]: readonly Result[]): void => {
  if (only === undefined || more.length > 0) return;
  if (only instanceof Error) fail(span, only.name);
  else {
    const { signalId, duplicate } = only;
    span.setAttributes({ 'messaging.message.id': signalId, 'seek_signals.duplicate': duplicate });
  }
};
