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
  ])('after attempt $attempt → $waits ms', ({ attempt, waits }) => {
    expect(backoffMs({ ...POLICY, attempt, random: middle })).toBe(waits);
  });

  it.each([
    { attempt: 1, min: 1_600, max: 2_400 },
    { attempt: 5, min: 25_600, max: 38_400 },
    { attempt: 25, min: 8_640_000, max: 12_960_000 },
  ])('after attempt $attempt → is spread from $min to $max ms', (row) => {
    const { attempt, min, max } = row;

    expect(backoffMs({ ...POLICY, attempt, random: lowest })).toBe(min);
    expect(backoffMs({ ...POLICY, attempt, random: highest })).toBe(max);
  });

  it.each([
    { what: 'longer than the backoff', retryAfterMs: 90_000, random: middle, waits: 90_000 },
    { what: 'shorter than the backoff', retryAfterMs: 500, random: middle, waits: 2_000 },
    {
      what: 'within the jitter',
      retryAfterMs: 2_000,
      random: lowest,
      waits: 2_000,
    },
    { what: 'absent', retryAfterMs: undefined, random: middle, waits: 2_000 },
    {
      what: 'longer than the maximum backoff',
      retryAfterMs: 20_000_000,
      random: middle,
      waits: 20_000_000,
    },
  ])('Retry-After $what → waits $waits ms', ({ retryAfterMs, random, waits }) => {
    expect(backoffMs({ ...POLICY, attempt: 1, retryAfterMs, random })).toBe(waits);
  });

  it('tiny or fractional backoff → at least one whole millisecond', () => {
    expect(backoffMs({ baseMs: 1, maxMs: 1, attempt: 1, random: lowest })).toBe(1);
    expect(backoffMs({ baseMs: 333, maxMs: 999, attempt: 1, random: () => 0.777 })).toBe(370);
  });
});
