import { DateTimeSchema, toUtc } from '../../src/schemas/dateTime.ts';

describe('DateTimeSchema', () => {
  it.each([
    { given: '2026-03-01T10:00:00Z', utc: '2026-03-01T10:00:00Z' },
    { given: '2026-03-01T10:00:00+00:00', utc: '2026-03-01T10:00:00Z' },
    { given: '2026-03-01T10:00:00-00:00', utc: '2026-03-01T10:00:00Z' },
    { given: '2026-03-01T20:30:00+10:30', utc: '2026-03-01T10:00:00Z' },
    { given: '2026-02-28T23:30:00-10:30', utc: '2026-03-01T10:00:00Z' },
    { given: '2026-01-01T05:00:00+13:00', utc: '2025-12-31T16:00:00Z' },
    { given: '2024-02-29T23:59:59-01:00', utc: '2024-03-01T00:59:59Z' },
    { given: '2026-03-01T10:00:00.000Z', utc: '2026-03-01T10:00:00Z' },
    { given: '2026-03-01T10:00:00.500Z', utc: '2026-03-01T10:00:00.5Z' },
    { given: '2026-03-01T10:00:00.05+01:00', utc: '2026-03-01T09:00:00.05Z' },
    { given: '2026-03-01T10:00:00.123456789Z', utc: '2026-03-01T10:00:00.123456789Z' },
    { given: '1969-12-31T23:59:59.25Z', utc: '1969-12-31T23:59:59.25Z' },
  ])('$given → canonical $utc', ({ given, utc }) => {
    // A timestamp in UTC is sent to SEEK as it was written.
    expect(DateTimeSchema.parse(given)).toBe(given.endsWith('Z') ? given : utc);
    expect(toUtc(DateTimeSchema.parse(given))).toBe(utc);
    expect(DateTimeSchema.parse(utc)).toBe(utc);
  });

  it.each([
    '',
    '2026-03-01',
    '2026-03-01T10:00:00',
    '2026-03-01T10:00Z',
    '2026-03-01 10:00:00Z',
    '2026-03-01T10:00:00+1000',
    '2026-03-01T10:00:00.Z',
    '2026-02-29T10:00:00Z',
    '2026-13-01T10:00:00Z',
    '2026-03-01T24:00:00Z',
    '2026-03-01T10:00:00Z ',
    '20260301T100000Z',
    'Sun, 01 Mar 2026 10:00:00 GMT',
    1_772_359_200,
    new Date(),
    null,
  ])('%p → rejected, with the expected format', (given) => {
    expect(DateTimeSchema.safeParse(given).error?.issues).toMatchObject([
      { message: expect.stringMatching(/^Expected an RFC 3339 timestamp/) },
    ]);
  });
});
