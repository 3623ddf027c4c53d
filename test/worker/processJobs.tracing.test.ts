import { buildSignalJob } from '../support/buildSignal.ts';
import { failed, idOf, recordSpans, traceOf } from '../support/recordSpans.ts';
import { attempted, DEFERRED, DELIVERED, RELEASED, RETRY, setup } from './setupAttempts.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${TRACE}-b7ad6b7169203331-01`;

const recorded = recordSpans();
afterEach(recorded.clear);
afterAll(recorded.stop);
const { tracer } = recorded;

describe('traced attempt', () => {
  it.each([
    { outcome: 'delivered', result: DELIVERED, isFailure: false },
    { outcome: 'retry', result: attempted(RETRY), isFailure: true },
    { outcome: 'deferred', result: DEFERRED, isFailure: true },
    { outcome: 'released', result: RELEASED, isFailure: false },
  ])('$outcome → one span, which ends with the outcome', async ({ outcome, result, isFailure }) => {
    const { run, logs } = setup({
      tracer,
      result,
      job: { data: buildSignalJob({ traceparent }) },
    });

    await run();

    const [span, ...more] = recorded.spans('CONSUMER');
    expect(more).toEqual([]);
    expect(span?.attributes).toMatchObject({
      'messaging.message.id': 'signal-1',
      'seek_signals.outcome': outcome,
    });
    expect([traceOf(span), span !== undefined && failed(span)]).toEqual([TRACE, isFailure]);
    const ids = { traceId: TRACE, spanId: idOf(span) };
    expect(logs.lines()).toMatchObject(outcome === 'released' ? [] : [ids]);
  });

  it('lock lost → the span ends as released', async () => {
    const subject = setup({
      tracer,
      result: () => {
        subject.lose();
        return DELIVERED;
      },
    });

    await subject.run();

    expect(recorded.spans('CONSUMER')).toMatchObject([
      { attributes: { 'seek_signals.outcome': 'released' } },
    ]);
  });

  it.each([{ result: attempted(RETRY) }, { result: DEFERRED }])(
    '$result.kind without a trace → the trace of its attempt is stored for later ones',
    async ({ result }) => {
      const { run, updates } = setup({ tracer, result });

      await run();

      const [span] = recorded.spans('CONSUMER');
      expect(updates).toMatchObject([
        { traceparent: `00-${traceOf(span)}-${idOf(span)}-01`, acceptedFrom: 'careers-site' },
      ]);
    },
  );

  it('suspected signal → its span starts with its attempt, not while it waits', async () => {
    const { run } = setup({ tracer, job: { stalledCounter: 2 } });

    await run();

    expect(recorded.spans('CONSUMER')).toHaveLength(1);
  });

  it('suspected signal that is not attempted → no span', async () => {
    const { run } = setup({
      tracer,
      job: { stalledCounter: 2 },
      abort: AbortSignal.abort('stopping'),
    });

    await run();

    expect(recorded.spans('CONSUMER')).toEqual([]);
  });
});
