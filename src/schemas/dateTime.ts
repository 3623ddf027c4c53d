import * as z from 'zod';

const CANONICAL_UTC = /^.{19}(?:\.\d*[1-9])?Z$/;
const PARTS = /^(.{19})(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/;

/**
 * Writes an RFC 3339 timestamp in its one canonical form: UTC, `Z`, no trailing zeros in the fraction.
 * Fraction digits beyond milliseconds are kept; a `Date` would drop them.
 */
export const toUtc = (text: string): string => {
  if (CANONICAL_UTC.test(text)) return text;
  const [, seconds = '', fraction = '', offset = 'Z'] = PARTS.exec(text) ?? [];
  const digits = withoutTrailingZeros(fraction);
  const utc = new Date(`${seconds}${offset}`).toISOString().slice(0, 'YYYY-MM-DDTHH:MM:SS'.length);

  return digits === '' ? `${utc}Z` : `${utc}.${digits}Z`;
};

// A loop, because `/0+$/` takes minutes on a hundred thousand zeros followed by another digit.
const withoutTrailingZeros = (digits: string): string => {
  let end = digits.length;
  while (digits[end - 1] === '0') end -= 1;
  return digits.slice(0, end);
};

// The pattern of `z.iso.datetime()`.
const UTC_DATE_TIME = z.regexes.datetime({});

/** Whether `z.iso.datetime()` accepts the value: RFC 3339 in UTC, with `Z`. */
export const isUtcDateTime = (value: unknown): value is string =>
  typeof value === 'string' && UTC_DATE_TIME.test(value);

/** An RFC 3339 timestamp with an offset. Parsing converts it to UTC; one that ends in `Z` stays as it is. */
export const DateTimeSchema = z.iso
  .datetime({
    offset: true,
    error: 'Expected an RFC 3339 timestamp with an offset, such as 2026-01-31T09:30:00Z',
  })
  .transform((text, { addIssue }) => {
    const utc = text.endsWith('Z') ? text : toUtc(text);
    // Checked after the conversion: otherwise the queue would reject a timestamp that the API accepted.
    if (!/^(?!0000)\d{4}-/.test(utc)) addIssue('Must be in the years 0001 to 9999, in UTC');
    return utc;
  });
