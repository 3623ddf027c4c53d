import type { DeadLetterView } from '../../src/deadLetters/deadLetters.ts';
import type { SignalRecord } from '../../src/schemas/signalRecord.ts';

import { check } from './checker.ts';
import { type Evidence, NO_HARM, type Terms } from './evidence.ts';
import { type Arrival, createHistory } from './history.ts';

const AT = '2026-03-01T10:00:00.000Z';
const TERMS: Terms = {
  ...{ ...NO_HARM, attempts: 1 },
  mayDie: (mark) => (mark === 'bad' ? ['FORBIDDEN'] : []),
};

const offered = (mark: string) => ({ mark, signalId: `id-${mark}`, signal: {} });

const arrival = (mark: string, change: Partial<Arrival> = {}): Arrival => ({
  ...{ at: 0, requestId: `request-${mark}`, by: 'worker', marks: [mark] },
  ...{ verdict: 'delivered', took: true, heard: true, ...change },
});

const attempt = (mark: string, change: Partial<SignalRecord['attempts'][number]> = {}) => ({
  ...{ at: AT, requestId: `request-${mark}`, outcome: 'delivered' as const, durationMs: 1 },
  ...change,
});

const record = (mark: string, change: Partial<SignalRecord> = {}): SignalRecord => ({
  ...{ signalId: `id-${mark}`, typeCode: 'ApplicationComplete', state: 'delivered' },
  ...{ acceptedAt: AT, attempts: [attempt(mark)], redrives: 0, ...change },
});

const refusal = { outcome: 'dead' as const, code: 'FORBIDDEN', reason: 'FORBIDDEN' };

const deadLetter = (mark: string, change: Partial<DeadLetterView> = {}): DeadLetterView => ({
  ...{ signalId: `id-${mark}`, typeCode: 'ApplicationComplete', diedAt: AT, acceptedAt: AT },
  ...{ code: 'FORBIDDEN', reason: 'FORBIDDEN', attempts: [attempt(mark, refusal)], redrives: 0 },
  ...change,
});

type Change = {
  arrivals?: Arrival[];
  lookup?: [string, SignalRecord | undefined][];
  deadLetters?: DeadLetterView[];
  output?: string;
};

/** One signal delivered, one refused, one that nobody is sure of: all as it should be, plus a change. */
const evidence = ({
  arrivals = [],
  lookup = [],
  deadLetters,
  output = '',
}: Change = {}): Evidence => {
  const history = createHistory();
  history.note(arrival('good'));
  history.note(arrival('bad', { verdict: 'FORBIDDEN', took: false }));
  for (const one of arrivals) history.note(one);
  return {
    ...{ accepted: [offered('good'), offered('bad')], unsure: [offered('unsure')], history },
    lookup: new Map([
      ['id-good', record('good')],
      ['id-bad', record('bad', { state: 'dead', attempts: [attempt('bad', refusal)] })],
      ['id-unsure', undefined],
      ...lookup,
    ]),
    deadLetters: deadLetters ?? [deadLetter('bad')],
    ...{ outputs: [{ name: 'worker-1', text: output }], secrets: ['seek-token'] },
  };
};

it('has nothing to say where all is as promised', () => {
  expect(check(evidence(), TERMS)).toEqual([]);
});

const good = (change: Partial<SignalRecord>): Change => ({
  lookup: [['id-good', record('good', change)]],
});

it.each<[string, Change, string[]]>([
  ['accepted, and nothing is known of it', { lookup: [['id-good', undefined]] }, ['id-good']],
  ['still waiting after the end', good({ state: 'waiting' }), ['id-good']],
  ['still active after the end', good({ state: 'active' }), ['id-good']],
  ['still retrying after the end', good({ state: 'retrying' }), ['id-good']],
  [
    'said to be delivered, but SEEK never took it',
    { lookup: [['id-unsure', record('unsure')]] },
    ['id-unsure'],
  ],
  [
    'skipped for a reason that nothing in this scenario explains',
    good({ state: 'skipped', reason: 'no-token' }),
    ['id-good'],
  ],
  ['said to be dead, but not among the dead letters', { deadLetters: [] }, ['id-bad']],
  [
    'among the dead letters, but not said to be dead',
    { deadLetters: [deadLetter('bad'), deadLetter('good')] },
    ['id-good'],
  ],
  [
    'among the dead letters more than once',
    { deadLetters: [deadLetter('bad'), deadLetter('bad')] },
    ['id-bad'],
  ],
  [
    'dead as STALLED, which nothing in this scenario explains',
    { deadLetters: [deadLetter('bad', { code: 'STALLED' })] },
    ['id-bad'],
  ],
  [
    'dead as UNREACHABLE after too few tries',
    { deadLetters: [deadLetter('bad', { code: 'UNREACHABLE' })] },
    ['id-bad'],
  ],
  ['arrived at SEEK, but was never offered', { arrivals: [arrival('stranger')] }, ['stranger']],
  [
    '1 duplicates, where the faults explain 0',
    { arrivals: [arrival('good', { requestId: 'another' })] },
    ['id-good'],
  ],
  [
    'more attempts than 1, which is what the faults explain',
    good({ attempts: [attempt('bad'), attempt('good')] }),
    ['id-good'],
  ],
  [
    'an attempt was spent without a request',
    good({
      attempts: [
        { at: AT, outcome: 'retry', code: 'PARTNER_TOKEN', durationMs: 1 },
        attempt('good'),
      ],
    }),
    ['id-good'],
  ],
  [
    'an attempt was spent on a request that did not carry the signal',
    good({ attempts: [attempt('bad'), attempt('good')] }),
    ['id-good'],
  ],
  [
    'two attempts were spent on one request',
    good({ attempts: [attempt('good'), attempt('good')] }),
    ['id-good'],
  ],
  [
    '1 attempts spent without reaching SEEK, where 0 are explained',
    good({
      attempts: [attempt('nobody', { outcome: 'retry', code: 'UNREACHABLE' }), attempt('good')],
    }),
    ['id-good'],
  ],
  ['secret 1 stands in the log of worker-1', { output: '{"token":"seek-token-1"}' }, []],
])('says: %s', (what, change, signalIds) => {
  expect(check(evidence(change), TERMS)).toContainEqual({ what, signalIds });
});
