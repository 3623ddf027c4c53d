import { backoffMs } from '../../src/worker/evaluateAttempt.ts';

const POLICY = { baseMs: 2_000, maxMs: 10_800_000 };
const middle = () => 0.5;
const lowest = () => 0;
const highest = () => 1 - Number.EPSILON;

describe('backoffMs', () => {
  it.each([
    { attempt: 1, waits: 2_000 },
    { attempt: 2, waits: 4_000 },
    { attempt: 3, waits: 8_000 },
    { attempt: 4, waits: 16_000 },
    { attempt: 10, waits: 1_024_000 },
    { attempt: 12, waits: 4_096_000 },
    { attempt: 13, waits: 8_192_000 },
    { attempt: 14, waits: 10_800_000 },
    { attempt: 25, waits: 10_800_000 },
    { attempt: 5_000, waits: 10_800_000 },
  ])('waits $waits ms after attempt $attempt', ({ attempt, waits }) => {
    expect(backoffMs({ ...POLICY, attempt, random: middle })).toBe(waits);
  });

  it.each([
    { attempt: 1, least: 1_600, most: 2_400 },
    { attempt: 5, least: 25_600, most: 38_400 },
    { attempt: 25, least: 8_640_000, most: 12_960_000 },
  ])('spreads the wait after attempt $attempt from $least to $most ms', (row) => {
    const { attempt, least, most } = row;

    expect(backoffMs({ ...POLICY, attempt, random: lowest })).toBe(least);
    expect(backoffMs({ ...POLICY, attempt, random: highest })).toBe(most);
  });

  it.each([
    { what: 'a longer Retry-After wins', retryAfterMs: 90_000, random: middle, waits: 90_000 },
    { what: 'a shorter one does not', retryAfterMs: 500, random: middle, waits: 2_000 },
    {
      what: 'one inside the spread lifts the wait',
      retryAfterMs: 2_000,
      random: lowest,
      waits: 2_000,
    },
    { what: 'none leaves the plan', retryAfterMs: undefined, random: middle, waits: 2_000 },
    { what: 'it may exceed the cap', retryAfterMs: 20_000_000, random: middle, waits: 20_000_000 },
  ])('of what SEEK asks for: $what', ({ retryAfterMs, random, waits }) => {
    expect(backoffMs({ ...POLICY, attempt: 1, retryAfterMs, random })).toBe(waits);
  });

  it('never gives less than a millisecond, and always a whole number of them', () => {
    expect(backoffMs({ baseMs: 1, maxMs: 1, attempt: 1, random: lowest })).toBe(1);
    expect(backoffMs({ baseMs: 333, maxMs: 999, attempt: 1, random: () => 0.777 })).toBe(370);
  });
});
