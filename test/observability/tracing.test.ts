import { createTraceState, trace } from '@opentelemetry/api';
import {
  idsOf,
  QUEUE_ATTRIBUTES,
  toContext,
  toTraceContext,
} from '../../src/observability/tracing.ts';
import { SIGNALS } from '../../src/queue/backend.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const traceparent = `00-${TRACE}-${SPAN}-01`;

const spanOf = (given: object) =>
  trace.wrapSpanContext({ traceId: TRACE, spanId: SPAN, traceFlags: 1, ...given });

describe('the attributes of spans about the queue', () => {
  it('name the queue that signals are added to', () => {
    expect(QUEUE_ATTRIBUTES['messaging.destination.name']).toBe(SIGNALS);
  });
});

describe('the trace of a signal', () => {
  it('is written as W3C has it', () => {
    expect(toTraceContext(spanOf({}))).toEqual({ traceparent });
    expect(toTraceContext(spanOf({ traceFlags: 0 }))).toEqual({
      traceparent: `00-${TRACE}-${SPAN}-00`,
    });
    const traceState = createTraceState('vendor=1,other=2');
    expect(toTraceContext(spanOf({ traceState }))).toEqual({
      ...{ traceparent, tracestate: 'vendor=1,other=2' },
    });
  });

  it('is nothing where nobody traces', () => {
    const nobody = trace.getTracer('test').startSpan('none');

    expect(toTraceContext(nobody)).toEqual({});
    expect(idsOf(nobody)).toEqual({});
  });

  it('reads back what was written', () => {
    const written = { traceparent, tracestate: 'vendor=1' };
    const read = trace.getSpanContext(toContext(written));

    expect(read).toMatchObject({ traceId: TRACE, spanId: SPAN, traceFlags: 1, isRemote: true });
    expect(read?.traceState?.serialize()).toBe('vendor=1');
    expect(toTraceContext(trace.wrapSpanContext(read ?? fail()))).toEqual(written);
  });

  it.each([
    [{}],
    [undefined],
    ['text'],
    [{ traceparent: 7 }],
    [{ traceparent: 'not-one' }],
    [{ traceparent: `${traceparent}-more` }],
    [{ traceparent: traceparent.toUpperCase() }],
    [{ traceparent: `00-${'0'.repeat(32)}-${SPAN}-01` }],
    [{ traceparent: `00-${TRACE}-${'0'.repeat(16)}-01` }],
    [{ traceparent: `ff-${TRACE}-${SPAN}-01` }],
  ])('begins anew at what cannot be read: %j', (given) => {
    expect(trace.getSpanContext(toContext(given))).toBeUndefined();
  });

  it('goes without a tracestate that is too long', () => {
    const read = trace.getSpanContext(
      toContext({ traceparent, tracestate: 'v='.padEnd(513, '1') }),
    );

    expect(read).toMatchObject({ traceId: TRACE });
    expect(read?.traceState).toBeUndefined();
  });
});

const fail = (): never => {
  throw new Error('nothing was read');
};
