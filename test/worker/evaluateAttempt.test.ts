import { type Attempt, SignalJobSchema } from '../../src/schemas/signalJob.ts';
import { evaluateAttempt } from '../../src/worker/evaluateAttempt.ts';
import { buildSignalJob } from '../support/buildSignal.ts';

const policy = { baseMs: 10, maxMs: 100, maxAttempts: 25, maxAgeMs: Number.POSITIVE_INFINITY };
const REFUSED = { kind: 'retry', code: 'HTTP_403', reason: 'HTTP 403', maxInARow: 8 } as const;

const refusal: Attempt = {
  at: '2026-03-01T12:00:00.000Z',
  outcome: 'retry',
  code: 'HTTP_403',
  durationMs: 5,
};

const evaluate = (attempts: Attempt[], outage?: true) => {
  const signalJob = SignalJobSchema.parse(buildSignalJob({ attempts }));
  const startedAt = Date.parse(signalJob.acceptedAt);
  return evaluateAttempt(
    {
      signalJob,
      attempted: { kind: 'attempted', outcome: REFUSED, ...(outage ? { outage } : {}) },
      number: attempts.length + 1,
      startedAt,
      endedAt: startedAt,
    },
    policy,
    () => 0.5,
  ).attempt;
};

describe('eight refusals of a gateway in a row', () => {
  it('→ dead', () => {
    expect(evaluate(Array(7).fill(refusal))).toMatchObject({ outcome: 'dead', code: 'HTTP_403' });
  });

  it.each<[string, Attempt]>([
    ['another code', { ...refusal, code: 'HTTP_503' }],
    ['a refusal while other signals were refused', { ...refusal, outage: true }],
  ])('%s among them → retry, because the count begins after it', (_, other) => {
    expect(evaluate([...Array(6).fill(refusal), other])).toMatchObject({ outcome: 'retry' });
  });

  it('a refusal while other signals are refused → is recorded as such', () => {
    expect(evaluate([], true)).toMatchObject({ outage: true });
  });
});
