import {
  type Context,
  createTraceState,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';

import { type TraceContext, TraceContextSchema } from '../schemas/traceContext.ts';

export type { Span, Tracer };

// A literal: an application that bundles the library has no package.json beside it.
const NAME = 'seek-signal-dispatcher';

/** Spans go to the SDK that the process has registered: ours, the application's, or none. */
export const openTracer = (): Tracer => trace.getTracer(NAME);

/** The attributes of every span about the queue. The name equals `SIGNALS` in `queue/backend.ts`. */
export const QUEUE_ATTRIBUTES = {
  'messaging.system': 'bullmq',
  'messaging.destination.name': 'signals',
};

/**
 * Serialises the span as W3C trace context for the job. The unsampled flag is kept so that workers do not
 * sample again. It does not use the registered propagator: an application may use another format, and
 * workers read this one.
 */
export const toTraceContext = (span: Span): TraceContext => {
  const spanContext = span.spanContext();
  if (!isSpanContextValid(spanContext)) return {};
  const { traceId, spanId, traceFlags, traceState } = spanContext;
  const flags = traceFlags.toString(16).padStart(2, '0');
  const tracestate = traceState?.serialize();
  return {
    traceparent: `00-${traceId}-${spanId}-${flags}`,
    ...(tracestate ? { tracestate } : {}),
  };
};

/** Parses the trace context of a job or of request headers. If it cannot be read, a new trace starts. */
export const toContext = (source: unknown): Context => {
  const spanContext = readSpanContext(source);
  return spanContext === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext);
};

const readSpanContext = (source: unknown): SpanContext | undefined => {
  const { traceparent, tracestate } = TraceContextSchema.safeParse(source).data ?? {};
  const [, traceId, spanId, flags] = traceparent?.split('-') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(tracestate === undefined ? {} : { traceState: createTraceState(tracestate) }),
  };
};

/** The ids for a log line. Empty for a span that is not recorded, because no trace would have these ids. */
export const idsOf = (span: Span): { traceId?: string; spanId?: string } => {
  if (!span.isRecording()) return {};
  const { traceId, spanId } = span.spanContext();
  return { traceId, spanId };
};

/** Marks the span as failed. `type` is a code from a small set: an error's message may contain a secret. */
export const fail = (span: Span, type: string): void => {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR });
};
