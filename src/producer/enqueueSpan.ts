import { context, type Span, SpanKind, type Tracer } from '@opentelemetry/api';

import { fail, QUEUE_ATTRIBUTES } from '../tracing.ts';

/**
 * One for a call, however many signals it brings: it continues what the caller is about. The library
 * registers no SDK; where its application has none either, this is a span that nobody keeps.
 */
export const startEnqueueSpan = (tracer: Tracer, signals: number): Span =>
  tracer.startSpan(
    `send ${QUEUE_ATTRIBUTES['messaging.destination.name']}`,
    {
      kind: SpanKind.PRODUCER,
      attributes: {
        ...QUEUE_ATTRIBUTES,
        'messaging.operation.type': 'send',
        'messaging.operation.name': 'send',
        ...(signals === 1 ? {} : { 'messaging.batch.message_count': signals }),
      },
    },
    context.active(),
  );

type Result = { signalId: string; duplicate: boolean } | Error;

export const endEnqueueSpan = (span: Span, results: readonly Result[]): void => {
  if (!span.isRecording()) return;
  const [first, ...more] = results;
  if (first instanceof Error && more.length === 0) fail(span, first.name);
  else if (first !== undefined && !(first instanceof Error) && more.length === 0) {
    span.setAttributes({
      'messaging.message.id': first.signalId,
      'seek_signals.duplicate': first.duplicate,
    });
  }
  span.end();
};

export const failEnqueueSpan = (span: Span, err: unknown): void => {
  fail(span, err instanceof Error ? err.name : 'unknown');
  span.end();
};
