import * as z from 'zod';

const PARTS = /^(.{19})(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/;

/**
 * The same instant in UTC, written one way only: `Z`, and no fraction digits that say nothing.
 * Digits beyond milliseconds are kept, although a `Date` would drop them.
 */
const toUtc = (text: string): string => {
  const [, seconds = '', fraction = '', offset = 'Z'] = PARTS.exec(text) ?? [];
  const digits = fraction.replace(/0+$/, '');
  const utc = new Date(`${seconds}${offset}`).toISOString().slice(0, 'YYYY-MM-DDTHH:MM:SS'.length);

  return digits === '' ? `${utc}Z` : `${utc}.${digits}Z`;
};

/** An RFC 3339 timestamp with its offset; comes out in UTC, as SEEK wants it sent. */
export const DateTimeSchema = z.iso
  .datetime({
    offset: true,
    error: 'Expected an RFC 3339 timestamp with an offset, such as 2026-01-31T09:30:00Z',
  })
  .refine((text) => !text.startsWith('0000'), 'Must not be in the year 0000')
  .transform(toUtc);
