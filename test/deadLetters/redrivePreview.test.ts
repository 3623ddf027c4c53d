import { createRedrivePreview } from '../../src/deadLetters/redriveMany.ts';
import { DeadLetterSchema } from '../../src/schemas/deadLetter.ts';
import { buildDeadLetter } from '../support/buildSignal.ts';

const deadLetter = (signalId: string) => DeadLetterSchema.parse(buildDeadLetter({ signalId }));

describe('createRedrivePreview', () => {
  it('valid and invalid dead letters → counts, the most frequent problem first, and five samples without their jobs', () => {
    const { add, outcome } = createRedrivePreview();
    for (let n = 0; n < 7; n += 1) add(deadLetter(`good-${n}`), undefined);
    add(deadLetter('bad-1'), { '/a': 'once', '/b': 'twice' });
    add(deadLetter('bad-2'), { '/b': 'twice' });

    const { samples, ...rest } = outcome();

    expect(rest).toEqual({
      wouldRedrive: 7,
      invalid: 2,
      refusals: [
        { pointer: '/b', message: 'twice', count: 2, example: 'bad-1' },
        { pointer: '/a', message: 'once', count: 1, example: 'bad-1' },
      ],
    });
    expect(samples).toHaveLength(5);
    expect(Object.keys(samples[0] ?? {})).toEqual([
      'signalId',
      'typeCode',
      'code',
      'reason',
      'diedAt',
    ]);
  });
});
