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

// Written out, for who packs the library into a file of its own has no package.json beside it.
const NAME = 'seek-signal-dispatcher';

/** Spans go to the SDK that the process has registered: ours, an application's, or none. */
export const openTracer = (): Tracer => trace.getTracer(NAME);

/** The attributes of every span about the queue. The name equals `SIGNALS` in `queue/backend.ts`. */
export const QUEUE_ATTRIBUTES = {
  'messaging.system': 'bullmq',
  'messaging.destination.name': 'signals',
};

/**
 * As it lies in a job. That nobody records it is passed on too: whoever took it for new would decide
 * anew. Not by the propagator that an application may have registered: workers read this one.
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

/** From a job, or the headers of a request. What can't be read begins a trace of its own. */
export const toContext = (given: unknown): Context => {
  const spanContext = readSpanContext(given);
  return spanContext === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext);
};

const readSpanContext = (given: unknown): SpanContext | undefined => {
  const { traceparent, tracestate } = TraceContextSchema.safeParse(given).data ?? {};
  const [, traceId, spanId, flags] = traceparent?.split('-') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return {
    ...{ traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true },
    ...(tracestate === undefined ? {} : { traceState: createTraceState(tracestate) }),
  };
};

/** For a line of the log; nothing where nobody will find it. */
export const idsOf = (span: Span): { traceId?: string; spanId?: string } => {
  if (!span.isRecording()) return {};
  const { traceId, spanId } = span.spanContext();
  return { traceId, spanId };
};

/** `type` is a code from a small set: an error's message may repeat what it stumbled over. */
export const fail = (span: Span, type: string): void => {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR });
};
