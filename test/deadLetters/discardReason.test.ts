import { canReimport, discardReason, ERASED } from '../../src/deadLetters/deadLetters.ts';

const reasonFor = (reason: string) => discardReason(new Date(0), reason);

describe('mayComeBack', () => {
  it.each([
    ['discarded', reasonFor('withdrawn'), true],
    ['discarded, with a line break', reasonFor('a\nb'), true],
    ['erased as a letter', reasonFor(ERASED), false],
    ['erased', ERASED, false],
    ['without a token', 'no-token', false],
    ['for no reason that is known', undefined, false],
  ])('%s', (_, reason, expected) => {
    expect(canReimport(reason)).toBe(expected);
  });
});
