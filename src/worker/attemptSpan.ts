import { SpanKind } from '@opentelemetry/api';

import { codeLabel } from '../observability/metrics.ts';
import {
  fail,
  idsOf,
  QUEUE_ATTRIBUTES,
  type Tracer,
  toContext,
  toTraceContext,
} from '../observability/tracing.ts';
import type { SignalJob } from '../schemas/signalJob.ts';

/** The fields of a job that a span records. */
type JobFields = { id: string; attemptsMade: number };

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
  const name = `process ${QUEUE_ATTRIBUTES['messaging.destination.name']}`;
  const attributes = {
    ...QUEUE_ATTRIBUTES,
    'messaging.operation.type': 'process',
    'messaging.operation.name': 'process',
    'messaging.message.id': job.id,
    'seek_signals.type_code': signalJob.signal.typeCode,
    'seek_signals.attempt': job.attemptsMade + 1,
    'seek_signals.redrives': signalJob.redrives,
  };
  const span = tracer.startSpan(
    name,
    { kind: SpanKind.CONSUMER, attributes },
    toContext(signalJob),
  );
  // Read now: the line of a delivered signal is logged after the span has ended.
  const ids = idsOf(span);

  return {
    span,

    end: ({ outcome, code, requestId }: SpanResult): void => {
      span.setAttribute('seek_signals.outcome', outcome);
      if (requestId !== undefined) span.setAttribute('seek_signals.request_id', requestId);
      // `codeLabel` hides unknown codes: SEEK writes them, so they can hold personal data.
      if (!SUCCESSES.has(outcome)) fail(span, codeLabel(code ?? 'UNKNOWN'));
      span.end();
    },

    ids: () => ids,

    /** A job without a trace gets this span as its trace, so that later attempts belong to it. */
    addTraceContext: (stored: SignalJob): SignalJob =>
      stored.traceparent === undefined ? { ...stored, ...toTraceContext(span) } : stored,
  };
};

export type AttemptSpan = ReturnType<typeof createAttemptSpan>;
