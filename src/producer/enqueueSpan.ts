import { context, type Span, SpanKind, type Tracer } from '@opentelemetry/api';

import { fail, QUEUE_ATTRIBUTES } from '../tracing.ts';

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

/**
 * One for a call, however many signals it brings: it continues what the caller is about. The library
 * registers no SDK; where its application has none either, this is a span that nobody keeps.
 */
export const startEnqueueSpan = (tracer: Tracer, signals: number): Span =>
  tracer.startSpan(NAME, signals === 1 ? ONE : many(signals), context.active());

type Result = { signalId: string; duplicate: boolean } | Error;

export const endEnqueueSpan = (span: Span, results: readonly Result[]): void => {
  if (!span.isRecording()) return;
  const [only, ...more] = results;
  if (only !== undefined && more.length === 0) {
    if (only instanceof Error) fail(span, only.name);
    else {
      span.setAttributes({
        'messaging.message.id': only.signalId,
        'seek_signals.duplicate': only.duplicate,
      });
    }
  }
  span.end();
};

export const failEnqueueSpan = (span: Span, err: unknown): void => {
  fail(span, err instanceof Error ? err.name : 'unknown');
  span.end();
};
