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

/** As much of BullMQ's job as matters here. */
type Tried = { id?: string | undefined; attemptsMade: number };

/** What a try came to; `handedBack` and `deferred` are no attempts, but take their time. */
export type AttemptResult = {
  outcome: string;
  code?: string | undefined;
  requestId?: string | undefined;
};

// Nobody is to blame for these, and nothing is to be done.
const WELL = new Set(['delivered', 'skipped', 'released']);

/** The span of one try at a signal: a child of the span that it was accepted in, in whatever life. */
export const createAttemptSpan = (tracer: Tracer, job: Tried, signalJob: SignalJob) => {
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

    end: ({ outcome, code, requestId }: AttemptResult): void => {
      if (span === undefined) return;
      span.setAttribute('seek_signals.outcome', outcome);
      if (requestId !== undefined) span.setAttribute('seek_signals.request_id', requestId);
      // A code that nobody knows is SEEK's own text, of which nothing is promised.
      if (!WELL.has(outcome)) fail(span, codeLabel(code ?? 'UNKNOWN'));
      span.end();
    },

    ids: () => (span === undefined ? {} : idsOf(span)),

    /** A signal that came without a trace keeps that of its first attempt, for those that follow. */
    adopt: (kept: SignalJob): SignalJob =>
      span === undefined || kept.traceparent !== undefined
        ? kept
        : { ...kept, ...toTraceContext(span) },
  };
};

export type AttemptSpan = ReturnType<typeof createAttemptSpan>;
