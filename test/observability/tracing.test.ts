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

const spanWith = (given: object) =>
  trace.wrapSpanContext({ traceId: TRACE, spanId: SPAN, traceFlags: 1, ...given });

describe('the attributes of a queue span', () => {
  it('contain the name of the signals queue', () => {
    expect(QUEUE_ATTRIBUTES['messaging.destination.name']).toBe(SIGNALS);
  });
});

describe('the trace context of a signal', () => {
  it('is written in the W3C format', () => {
    expect(toTraceContext(spanWith({}))).toEqual({ traceparent });
    expect(toTraceContext(spanWith({ traceFlags: 0 }))).toEqual({
      traceparent: `00-${TRACE}-${SPAN}-00`,
    });
    const traceState = createTraceState('vendor=1,other=2');
    expect(toTraceContext(spanWith({ traceState }))).toEqual({
      traceparent,
      tracestate: 'vendor=1,other=2',
    });
  });

  it('is empty without an SDK', () => {
    const unrecorded = trace.getTracer('test').startSpan('none');

    expect(toTraceContext(unrecorded)).toEqual({});
    expect(idsOf(unrecorded)).toEqual({});
  });

  it('is read back as it was written', () => {
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
  ])('is not read from an invalid value: %j', (given) => {
    expect(trace.getSpanContext(toContext(given))).toBeUndefined();
  });

  it('is read without a tracestate that is too long', () => {
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
