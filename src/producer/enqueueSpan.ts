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
