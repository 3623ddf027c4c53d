import { canReimport, discardReason, ERASED } from '../../src/deadLetters/deadLetters.ts';

const reasonFor = (reason: string) => discardReason(new Date(0), reason);

describe('canReimport', () => {
  it.each([
    ['a discard → true', reasonFor('withdrawn'), true],
    ['a discard whose reason has a line break → true', reasonFor('a\nb'), true],
    ['a discard by an erasure → false', reasonFor(ERASED), false],
    ['an erased signal → false', ERASED, false],
    ['a signal without a token → false', 'no-token', false],
    ['no reason → false', undefined, false],
  ])('%s', (_, reason, expected) => {
    expect(canReimport(reason)).toBe(expected);
  });
});
