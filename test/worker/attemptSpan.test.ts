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
  return { signalJob, attempt: createAttemptSpan(recorded.tracer, job, signalJob) };
};

describe('the span of a try', () => {
  it.each([
    ['delivered', undefined, false],
    ['skipped', undefined, false],
    ['released', undefined, false],
    ['deferred', 'RATE_LIMITED', true],
    ['retry', 'HTTP_502', true],
    ['dead', undefined, true],
  ])('that is %s', (outcome, code, isFailure) => {
    const { attempt } = setup({ traceparent });
    attempt.start();
    attempt.end({ outcome, code, requestId: 'request-1' });

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

  it('repeats no code that is not known: it is whatever SEEK wrote', () => {
    const { attempt } = setup({ traceparent });
    attempt.start();
    attempt.end({ outcome: 'dead', code: 'Jane Citizen has no such application' });

    expect(recorded.spans('CONSUMER')[0]?.attributes['error.type']).toBe('OTHER');
  });

  it('has ids for the log while it is recorded, and none before', () => {
    const { attempt } = setup({ traceparent });
    expect(attempt.ids()).toEqual({});
    attempt.start();
    expect(attempt.ids()).toEqual({ traceId: TRACE, spanId: expect.stringMatching(/^\w{16}$/) });
  });

  it('is not there if it never began, which harms nobody', () => {
    const { attempt, signalJob } = setup();
    attempt.end({ outcome: 'deferred', code: 'QUEUE' });

    expect(recorded.spans()).toEqual([]);
    expect(attempt.adopt(signalJob)).toBe(signalJob);
  });

  it('is what later tries are of, where the signal came without one', () => {
    const { attempt, signalJob } = setup();
    attempt.start();
    const kept = attempt.adopt(signalJob);
    attempt.end({ outcome: 'retry', code: 'HTTP_502' });

    const [first] = recorded.spans();
    expect(kept).toEqual({
      ...signalJob,
      traceparent: `00-${traceOf(first)}-${idOf(first)}-01`,
    });
    expect(createAttemptSpan(recorded.tracer, { attemptsMade: 1 }, kept).adopt(kept)).toBe(kept);
  });
});
