import {
  type Attempt,
  failureText,
  redriveLogOf,
  SignalJobSchema,
  withAttempt,
  withRedrive,
} from '../../src/schemas/signalJob.ts';
import { buildSeekSample, buildSignalJob } from '../support/buildSignal.ts';
import { accepted } from './parse.ts';

const attempt = (number: number): Attempt => ({
  at: new Date(number * 1_000).toISOString(),
  outcome: 'retry',
  code: 'RATE_LIMITED',
  durationMs: number,
});

describe('SignalJobSchema', () => {
  it('job written as JSON → read unchanged', () => {
    const job = buildSignalJob({ signal: accepted(buildSeekSample()), attempts: [attempt(1)] });

    expect(SignalJobSchema.parse(JSON.parse(JSON.stringify(job)))).toStrictEqual(job);
  });

  it('signal of an unknown type → accepted', () => {
    const job = buildSignalJob({ signal: { typeCode: 'InterviewBooked', token: 't' } });

    expect(SignalJobSchema.parse(job)).toStrictEqual(job);
  });

  it.each([
    { what: 'a newer version', change: { version: 5 } },
    { what: 'no signal', change: { signal: undefined } },
    { what: 'an unknown field of the signal', change: { signal: { typeCode: 'New', tokn: 't' } } },
    { what: 'no time of acceptance', change: { acceptedAt: undefined } },
    { what: 'an invalid time of acceptance', change: { acceptedAt: 'yesterday' } },
    { what: 'an invalid attempt', change: { attempts: [{}] } },
  ])('$what → rejected', ({ change }) => {
    expect(SignalJobSchema.safeParse(buildSignalJob(change)).success).toBe(false);
  });
});

describe('withAttempt', () => {
  const job = SignalJobSchema.parse(buildSignalJob({ attempts: [attempt(1)] }));

  it('attempt → appended to a copy', () => {
    expect(withAttempt(job, attempt(2)).attempts).toEqual([attempt(1), attempt(2)]);
    expect(job.attempts).toEqual([attempt(1)]);
  });

  it('more than 200 attempts → keeps the newest 200', () => {
    let long = job;
    for (let number = 2; number <= 250; number += 1) long = withAttempt(long, attempt(number));

    expect(long.attempts).toHaveLength(200);
    expect(long.attempts.at(0)).toEqual(attempt(51));
    expect(long.attempts.at(-1)).toEqual(attempt(250));
  });
});

describe('withRedrive', () => {
  const job = SignalJobSchema.parse(buildSignalJob());
  const redrive = (second: number) => ({ at: new Date(second * 1_000).toISOString(), by: 'ats' });

  it('more than 50 redrives → keeps the newest 50, oldest first', () => {
    let long = job;
    for (let number = 1; number <= 60; number += 1) long = withRedrive(long, redrive(number));

    const { redriveLog = [] } = redriveLogOf(JSON.parse(JSON.stringify(long)));
    expect(redriveLog).toHaveLength(50);
    expect([redriveLog.at(0), redriveLog.at(-1)]).toEqual([redrive(11), redrive(60)]);
  });

  it.each([[undefined], ['text'], [{ redriveLog: [{}] }], [job]])(
    'redriveLogOf %j → no field',
    (data) => {
      expect(redriveLogOf(data)).toEqual({});
    },
  );
});

describe('failureText', () => {
  it.each([
    {
      failure: { code: 'FORBIDDEN', reason: 'No relationship' },
      text: 'FORBIDDEN: No relationship',
    },
    { failure: { code: 'FORBIDDEN', reason: '' }, text: 'FORBIDDEN' },
    { failure: { code: 'FORBIDDEN' }, text: 'FORBIDDEN' },
    { failure: { reason: 'No token' }, text: 'No token' },
    { failure: {}, text: '' },
  ])('$failure → "$text"', ({ failure, text }) => {
    expect(failureText(failure)).toBe(text);
  });
});
