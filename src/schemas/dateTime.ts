import * as z from 'zod';

const AS_IT_IS = /^.{19}(?:\.\d*[1-9])?Z$/;
const PARTS = /^(.{19})(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/;

/**
 * The same instant in UTC, however it was written, written one way only: `Z`, and no fraction digits that say nothing.
 * Digits beyond milliseconds are kept, although a `Date` would drop them.
 */
export const toUtc = (text: string): string => {
  if (AS_IT_IS.test(text)) return text;
  const [, seconds = '', fraction = '', offset = 'Z'] = PARTS.exec(text) ?? [];
  const digits = withoutTrailingZeros(fraction);
  const utc = new Date(`${seconds}${offset}`).toISOString().slice(0, 'YYYY-MM-DDTHH:MM:SS'.length);

  return digits === '' ? `${utc}Z` : `${utc}.${digits}Z`;
};

// Not by `/0+$/`: of a hundred thousand zeros with another digit behind them it would make minutes.
const withoutTrailingZeros = (digits: string): string => {
  let end = digits.length;
  while (digits[end - 1] === '0') end -= 1;
  return digits.slice(0, end);
};

/** An RFC 3339 timestamp with its offset; comes out in UTC, as SEEK wants it sent, or as it was if it is. */
export const DateTimeSchema = z.iso
  .datetime({
    offset: true,
    error: 'Expected an RFC 3339 timestamp with an offset, such as 2026-01-31T09:30:00Z',
  })
  .transform((text, { addIssue }) => {
    const utc = text.endsWith('Z') ? text : toUtc(text);
    // Judged in UTC, or what was taken once would be refused when it is read again.
    if (!/^(?!0000)\d{4}-/.test(utc)) addIssue('Must be in the years 0001 to 9999, in UTC');
    return utc;
  });
