import { matches } from '../../src/deadLetters/filter.ts';
import { referencesOf } from '../../src/queue/searchIndex.ts';
import { DeadLetterSchema } from '../../src/schemas/deadLetter.ts';
import { buildLetter, buildSignalJob } from '../support/buildSignal.ts';

const letterOf = (change: object) => DeadLetterSchema.parse(buildLetter(change));
const about = (signal: object) => letterOf({ job: buildSignalJob({ signal }) });

describe('letters by what their signals name', () => {
  const positions = about({ typeCode: 'PositionStatusUpdate', positionProfileIds: ['a', 'b'] });
  const application = about({ typeCode: 'ApplicationComplete', applicationId: 'a' });

  it.each([
    { filter: { positionProfileId: 'b' }, deadLetter: positions, is: true },
    { filter: { positionProfileId: 'c' }, deadLetter: positions, is: false },
    { filter: { positionProfileId: 'a' }, deadLetter: application, is: false },
    { filter: { applicationId: 'a' }, deadLetter: application, is: true },
    { filter: { applicationId: 'a' }, deadLetter: positions, is: false },
    { filter: { positionProfileId: 'a' }, deadLetter: letterOf({ job: 'no job' }), is: false },
  ])('$filter is $is of $letter.job.signal', ({ filter, deadLetter, is }) => {
    expect(matches(deadLetter, filter)).toBe(is);
  });
});

describe('what a signal is about', () => {
  it.each([
    { data: { signal: { applicationId: 'a' } }, is: { applicationId: 'a' } },
    {
      data: { signal: { positionProfileIds: ['p', 'q'] } },
      is: { positionProfileIds: ['p', 'q'] },
    },
    {
      data: { signal: { candidateApplicationProfileId: 'c' } },
      is: { candidateApplicationProfileId: 'c' },
    },
    { data: { signal: { candidateApplicationProfileId: 7 } }, is: {} },
    { data: { signal: { token: 'secret' } }, is: {} },
    { data: 'anything', is: {} },
  ])('is told of $data', ({ data, is }) => {
    expect(referencesOf(data)).toEqual(is);
  });
});
