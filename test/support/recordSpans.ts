import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node';

import { openTracer } from '../../src/observability/tracing.ts';

type Config = ConstructorParameters<typeof NodeTracerProvider>[0];

/** Registers an OpenTelemetry SDK, as an application does, that keeps its spans in memory. */
export const recordSpans = (config: Config = {}) => {
  const exporter = new InMemorySpanExporter();
  const processor = new SimpleSpanProcessor(exporter);
  new NodeTracerProvider({ ...config, spanProcessors: [processor] }).register();

  return {
    tracer: openTracer(),
    /** The ended spans, by start time. */
    spans: (kind?: keyof typeof SpanKind): ReadableSpan[] =>
      exporter
        .getFinishedSpans()
        .filter((span) => kind === undefined || span.kind === SpanKind[kind])
        .sort((one, other) => millis(one) - millis(other)),
    clear: () => exporter.reset(),
    stop: (): void => {
      trace.disable();
      context.disable();
    },
  };
};

export type RecordedSpans = ReturnType<typeof recordSpans>;

const millis = ({ startTime: [seconds, nanos] }: ReadableSpan) => seconds * 1e3 + nanos / 1e6;

export const failed = ({ status }: ReadableSpan): boolean => status.code === SpanStatusCode.ERROR;

export const idOf = (span: ReadableSpan | undefined) => span?.spanContext().spanId;
export const traceOf = (span: ReadableSpan | undefined) => span?.spanContext().traceId;
export const parentOf = (span: ReadableSpan | undefined) => span?.parentSpanContext?.spanId;
