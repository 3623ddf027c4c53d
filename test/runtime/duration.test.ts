import { parseDuration } from '../../src/runtime/duration.ts';

describe('parseDuration', () => {
  it.each([
    ['45s', 45_000],
    ['30m', 1_800_000],
    ['12h', 43_200_000],
    ['14d', 1_209_600_000],
    ['0d', 0],
    ['14', undefined],
    ['d', undefined],
    ['1.5h', undefined],
    ['-1d', undefined],
    ['1w', undefined],
    ['1209600s', 1_209_600_000],
    ['9999999999d', undefined],
    ['', undefined],
  ])('%j → %s ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });
});
