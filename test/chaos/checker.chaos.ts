import type { DeadLetterView } from '../../src/deadLetters/deadLetters.ts';
import type { SignalRecord } from '../../src/schemas/signalRecord.ts';

import { check } from './checker.ts';
import { type Allowance, type Evidence, NO_FAULTS } from './evidence.ts';
import { type Arrival, createHistory } from './history.ts';

const AT = '2026-03-01T10:00:00.000Z';
const ALLOWANCE: Allowance = {
  ...NO_FAULTS,
  attempts: 1,
  allowedDeadCodes: (mark) => (mark === 'bad' ? ['FORBIDDEN'] : []),
};

const buildTestSignal = (mark: string) => ({ mark, signalId: `id-${mark}`, signal: {} });

const buildArrival = (mark: string, change: Partial<Arrival> = {}): Arrival => ({
  at: 0,
  requestId: `request-${mark}`,
  worker: 'worker',
  marks: [mark],
  reply: 'delivered',
  processed: true,
  answered: true,
  ...change,
});

const buildAttempt = (mark: string, change: Partial<SignalRecord['attempts'][number]> = {}) => ({
  at: AT,
  requestId: `request-${mark}`,
  outcome: 'delivered' as const,
  durationMs: 1,
  ...change,
});

const buildRecord = (mark: string, change: Partial<SignalRecord> = {}): SignalRecord => ({
  signalId: `id-${mark}`,
  typeCode: 'ApplicationComplete',
  state: 'delivered',
  acceptedAt: AT,
  attempts: [buildAttempt(mark)],
  redrives: 0,
  ...change,
});

const REFUSED = { outcome: 'dead' as const, code: 'FORBIDDEN', reason: 'FORBIDDEN' };

const buildDeadLetterView = (
  mark: string,
  change: Partial<DeadLetterView> = {},
): DeadLetterView => ({
  signalId: `id-${mark}`,
  typeCode: 'ApplicationComplete',
  diedAt: AT,
  acceptedAt: AT,
  code: 'FORBIDDEN',
  reason: 'FORBIDDEN',
  attempts: [buildAttempt(mark, REFUSED)],
  redrives: 0,
  ...change,
});

type Change = {
  arrivals?: Arrival[];
  lookup?: [string, SignalRecord | undefined][];
  deadLetters?: DeadLetterView[];
  output?: string;
};

/** One signal delivered, one refused, one uncertain: no violation, before `change`. */
const buildEvidence = (change: Change = {}): Evidence => {
  const { arrivals = [], lookup = [], output = '' } = change;
  const { deadLetters = [buildDeadLetterView('bad')] } = change;
  const history = createHistory();
  history.record(buildArrival('good'));
  history.record(buildArrival('bad', { reply: 'FORBIDDEN', processed: false }));
  for (const arrival of arrivals) history.record(arrival);
  return {
    accepted: [buildTestSignal('good'), buildTestSignal('bad')],
    uncertain: [buildTestSignal('uncertain')],
    history,
    lookup: new Map([
      ['id-good', buildRecord('good')],
      ['id-bad', buildRecord('bad', { state: 'dead', attempts: [buildAttempt('bad', REFUSED)] })],
      ['id-uncertain', undefined],
      ...lookup,
    ]),
    deadLetters,
    outputs: [{ name: 'worker-1', text: output }],
    secrets: ['seek-token'],
  };
};

const withRecordOfGood = (change: Partial<SignalRecord>): Change => ({
  lookup: [['id-good', buildRecord('good', change)]],
});

describe('the checker of the chaos tests', () => {
  it('reports nothing when every promise is kept', () => {
    expect(check(buildEvidence(), ALLOWANCE)).toEqual([]);
  });

  it.each<[string, Change, string[]]>([
    ['accepted, but has no record', { lookup: [['id-good', undefined]] }, ['id-good']],
    ['still waiting after the end', withRecordOfGood({ state: 'waiting' }), ['id-good']],
    ['still active after the end', withRecordOfGood({ state: 'active' }), ['id-good']],
    ['still retrying after the end', withRecordOfGood({ state: 'retrying' }), ['id-good']],
    [
      'state delivered, but SEEK never processed it',
      { lookup: [['id-uncertain', buildRecord('uncertain')]] },
      ['id-uncertain'],
    ],
    [
      'skipped for a reason that the scenario does not explain',
      withRecordOfGood({ state: 'skipped', reason: 'no-token' }),
      ['id-good'],
    ],
    ['state dead, but not among the dead letters', { deadLetters: [] }, ['id-bad']],
    [
      'among the dead letters, but its state is not dead',
      { deadLetters: [buildDeadLetterView('bad'), buildDeadLetterView('good')] },
      ['id-good'],
    ],
    [
      'among the dead letters more than once',
      { deadLetters: [buildDeadLetterView('bad'), buildDeadLetterView('bad')] },
      ['id-bad'],
    ],
    [
      'dead with code STALLED, which the scenario does not explain',
      { deadLetters: [buildDeadLetterView('bad', { code: 'STALLED' })] },
      ['id-bad'],
    ],
    [
      'dead with code UNREACHABLE after too few attempts',
      { deadLetters: [buildDeadLetterView('bad', { code: 'UNREACHABLE' })] },
      ['id-bad'],
    ],
    [
      'arrived at SEEK, but no producer sent it',
      { arrivals: [buildArrival('unknown')] },
      ['unknown'],
    ],
    [
      '1 duplicates; the faults explain 0',
      { arrivals: [buildArrival('good', { requestId: 'another' })] },
      ['id-good'],
    ],
    [
      'more attempts than the 1 that the faults explain',
      withRecordOfGood({ attempts: [buildAttempt('bad'), buildAttempt('good')] }),
      ['id-good'],
    ],
    [
      'an attempt without a request',
      withRecordOfGood({
        attempts: [
          { at: AT, outcome: 'retry', code: 'PARTNER_TOKEN', durationMs: 1 },
          buildAttempt('good'),
        ],
      }),
      ['id-good'],
    ],
    [
      'an attempt whose request did not carry the signal',
      withRecordOfGood({ attempts: [buildAttempt('bad'), buildAttempt('good')] }),
      ['id-good'],
    ],
    [
      'two attempts with the same request',
      withRecordOfGood({ attempts: [buildAttempt('good'), buildAttempt('good')] }),
      ['id-good'],
    ],
    [
      '1 attempts did not reach SEEK; the faults explain 0',
      withRecordOfGood({
        attempts: [
          buildAttempt('unknown', { outcome: 'retry', code: 'UNREACHABLE' }),
          buildAttempt('good'),
        ],
      }),
      ['id-good'],
    ],
    [
      'among the dead letters, but no producer sent it',
      { deadLetters: [buildDeadLetterView('bad'), buildDeadLetterView('unknown')] },
      ['id-unknown'],
    ],
    [
      'dead with code BAD_USER_INPUT, but SEEK never replied so',
      { deadLetters: [buildDeadLetterView('bad', { code: 'BAD_USER_INPUT' })] },
      ['id-bad'],
    ],
    [
      'an attempt whose request never reached SEEK, with a code other than UNREACHABLE',
      withRecordOfGood({
        attempts: [
          buildAttempt('unknown', { outcome: 'retry', code: 'HTTP_502' }),
          buildAttempt('good'),
        ],
      }),
      ['id-good'],
    ],
    [
      'state delivered, but SEEK did not process the request of the last attempt',
      withRecordOfGood({ attempts: [buildAttempt('bad')] }),
      ['id-good'],
    ],
    ['secret 1 is in the log of worker-1', { output: '{"token":"seek-token-1"}' }, []],
  ])('reports a violation: %s', (what, change, signalIds) => {
    expect(check(buildEvidence(change), ALLOWANCE)).toContainEqual({ what, signalIds });
  });
});
