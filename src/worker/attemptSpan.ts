import { SpanKind } from '@opentelemetry/api';

import { codeLabel } from '../observability/metrics.ts';
import {
  fail,
  idsOf,
  QUEUE_ATTRIBUTES,
  type Span,
  type Tracer,
  toContext,
  toTraceContext,
} from '../observability/tracing.ts';
import type { SignalJob } from '../schemas/signalJob.ts';

/** The fields of BullMQ's job that a span records. */
type JobFields = { id?: string | undefined; attemptsMade: number };

/** How a span ends. `released` and `deferred` spend no attempt, but they take time too. */
export type SpanResult = {
  outcome: string;
  code?: string | undefined;
  requestId?: string | undefined;
};

// These are no failures: a span that ends with one of them gets no error status.
const SUCCESSES = new Set(['delivered', 'skipped', 'released']);

/**
 * The span of one attempt. Its parent is the span in which the producer accepted the signal, also
 * after a redrive.
 */
export const createAttemptSpan = (tracer: Tracer, job: JobFields, signalJob: SignalJob) => {
  let span: Span | undefined;
  const attributes = {
    ...QUEUE_ATTRIBUTES,
    'messaging.operation.type': 'process',
    'messaging.operation.name': 'process',
    'messaging.message.id': job.id ?? '',
    'seek_signals.type_code': signalJob.signal.typeCode,
    'seek_signals.attempt': job.attemptsMade + 1,
    'seek_signals.redrives': signalJob.redrives,
  };

  return {
    start: (): Span => {
      const name = `process ${QUEUE_ATTRIBUTES['messaging.destination.name']}`;
      span = tracer.startSpan(name, { kind: SpanKind.CONSUMER, attributes }, toContext(signalJob));
      return span;
    },

    end: ({ outcome, code, requestId }: SpanResult): void => {
      if (span === undefined) return;
      span.setAttribute('seek_signals.outcome', outcome);
      if (requestId !== undefined) span.setAttribute('seek_signals.request_id', requestId);
      // `codeLabel` hides unknown codes: SEEK writes them, so they can hold personal data.
      if (!SUCCESSES.has(outcome)) fail(span, codeLabel(code ?? 'UNKNOWN'));
      span.end();
    },

    ids: () => (span === undefined ? {} : idsOf(span)),

    /** A job without a trace gets this span as its trace, so that later attempts belong to it. */
    addTraceContext: (stored: SignalJob): SignalJob =>
      span === undefined || stored.traceparent !== undefined
        ? stored
        : { ...stored, ...toTraceContext(span) },
  };
};

export type AttemptSpan = ReturnType<typeof createAttemptSpan>;
