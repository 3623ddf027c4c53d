import { SignalJobSchema } from '../../src/schemas/signalJob.ts';
import { createAttemptSpan } from '../../src/worker/attemptSpan.ts';
import { buildSignalJob } from '../support/buildSignal.ts';
import { failed, idOf, recordSpans, traceOf } from '../support/recordSpans.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${TRACE}-b7ad6b7169203331-01`;

const recorded = recordSpans();
afterEach(recorded.clear);
afterAll(recorded.stop);

const setup = (change: object = {}) => {
  const signalJob = SignalJobSchema.parse(buildSignalJob(change));
  const job = { id: 'signal-1', attemptsMade: 2 };
  return { signalJob, span: createAttemptSpan(recorded.tracer, job, signalJob) };
};

describe('span of an attempt', () => {
  it.each([
    ['delivered', undefined, false],
    ['skipped', undefined, false],
    ['released', undefined, false],
    ['deferred', 'RATE_LIMITED', true],
    ['retry', 'HTTP_502', true],
    ['dead', undefined, true],
  ])('outcome %s, code %s → failure: %s', (outcome, code, isFailure) => {
    const { span: attemptSpan } = setup({ traceparent });
    attemptSpan.end({ outcome, code, requestId: 'request-1' });

    const [span, ...more] = recorded.spans('CONSUMER');
    expect(more).toEqual([]);
    expect(span?.attributes).toMatchObject({
      'messaging.message.id': 'signal-1',
      'seek_signals.attempt': 3,
      'seek_signals.outcome': outcome,
      'seek_signals.request_id': 'request-1',
    });
    expect(span !== undefined && failed(span)).toBe(isFailure);
    expect(span?.attributes['error.type']).toBe(isFailure ? (code ?? 'UNKNOWN') : undefined);
    expect(traceOf(span)).toBe(TRACE);
  });

  it('unknown code → error.type is OTHER, because SEEK wrote the code', () => {
    const { span } = setup({ traceparent });
    span.end({ outcome: 'dead', code: 'Jane Citizen has no such application' });

    expect(recorded.spans('CONSUMER')[0]?.attributes['error.type']).toBe('OTHER');
  });

  it('before and after its end → trace id and span id for the log', () => {
    const { span } = setup({ traceparent });
    const ids = { traceId: TRACE, spanId: expect.stringMatching(/^\w{16}$/) };
    expect(span.ids()).toEqual(ids);
    span.end({ outcome: 'delivered' });
    expect(span.ids()).toEqual(ids);
  });

  it('job without a trace → gets this span as the trace of later attempts', () => {
    const { span, signalJob } = setup();
    const stored = span.addTraceContext(signalJob);
    span.end({ outcome: 'retry', code: 'HTTP_502' });

    const [first] = recorded.spans();
    expect(stored).toEqual({
      ...signalJob,
      traceparent: `00-${traceOf(first)}-${idOf(first)}-01`,
    });
    const next = createAttemptSpan(recorded.tracer, { id: 'signal-1', attemptsMade: 1 }, stored);
    expect(next.addTraceContext(stored)).toBe(stored);
  });
});
