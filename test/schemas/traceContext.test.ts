import { SignalJobSchema } from '../../src/schemas/signalJob.ts';
import { traceIdOf } from '../../src/schemas/traceContext.ts';
import { buildSignalJob } from '../support/buildSignal.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${TRACE}-b7ad6b7169203331-01`;

describe('the trace of a job', () => {
  it('written as JSON → read unchanged', () => {
    const job = buildSignalJob({ traceparent, tracestate: 'vendor=1' });

    expect(SignalJobSchema.parse(JSON.parse(JSON.stringify(job)))).toStrictEqual(job);
    expect(traceIdOf(job)).toBe(TRACE);
  });

  it.each([
    { traceparent: 'damaged' },
    { traceparent: 7, tracestate: {} },
    { traceparent: null },
    { traceparent: traceparent.slice(1) },
  ])('unreadable trace %j → counts as absent, and the job is valid', (damaged) => {
    const job = SignalJobSchema.parse(buildSignalJob(damaged));

    expect(JSON.parse(JSON.stringify(job))).toEqual(buildSignalJob());
    expect(traceIdOf(buildSignalJob(damaged))).toBeUndefined();
  });

  it('traceIdOf → undefined unless the trace was sampled', () => {
    expect(traceIdOf({ traceparent: traceparent.replace(/1$/, '0') })).toBeUndefined();
    expect(traceIdOf({ traceparent: traceparent.replace(/01$/, '03') })).toBe(TRACE);
    expect(traceIdOf('nothing')).toBeUndefined();
  });
});
