import { matches } from '../../src/deadLetters/filter.ts';
import { referencesOf } from '../../src/queue/searchIndex.ts';
import { DeadLetterSchema } from '../../src/schemas/deadLetter.ts';
import { buildDeadLetter, buildSignalJob } from '../support/buildSignal.ts';

const parsed = (change: object) => DeadLetterSchema.parse(buildDeadLetter(change));
const withSignal = (signal: object) => parsed({ job: buildSignalJob({ signal }) });

describe('a filter of dead letters', () => {
  const positions = withSignal({
    typeCode: 'PositionStatusUpdate',
    positionProfileIds: ['a', 'b'],
  });
  const position = withSignal({ typeCode: 'PositionStatusUpdate', positionId: 'p' });
  const application = withSignal({ typeCode: 'ApplicationComplete', applicationId: 'a' });

  it.each([
    { filter: { positionProfileId: 'b' }, deadLetter: positions, expected: true },
    { filter: { positionProfileId: 'c' }, deadLetter: positions, expected: false },
    { filter: { positionProfileId: 'p' }, deadLetter: position, expected: true },
    { filter: { positionProfileId: 'q' }, deadLetter: position, expected: false },
    { filter: { positionProfileId: 'a' }, deadLetter: application, expected: false },
    { filter: { applicationId: 'a' }, deadLetter: application, expected: true },
    { filter: { applicationId: 'a' }, deadLetter: positions, expected: false },
    {
      filter: { positionProfileId: 'a' },
      deadLetter: parsed({ job: 'no job' }),
      expected: false,
    },
  ])(
    '$filter with the job $deadLetter.job → matches: $expected',
    ({ filter, deadLetter, expected }) => {
      expect(matches(deadLetter, filter)).toBe(expected);
    },
  );
});

describe('referencesOf', () => {
  it.each([
    { data: { signal: { applicationId: 'a' } }, references: { applicationId: 'a' } },
    {
      data: { signal: { positionProfileIds: ['p', 'q'] } },
      references: { positionProfileIds: ['p', 'q'] },
    },
    {
      data: { signal: { candidateApplicationProfileId: 'c' } },
      references: { candidateApplicationProfileId: 'c' },
    },
    { data: { signal: { candidateApplicationProfileId: 7 } }, references: {} },
    { data: { signal: { positionId: 'p' } }, references: { positionId: 'p' } },
    { data: { signal: { token: 'secret' } }, references: {} },
    { data: 'anything', references: {} },
  ])('$data → $references', ({ data, references }) => {
    expect(referencesOf(data)).toEqual(references);
  });
});
