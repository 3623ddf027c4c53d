import * as z from 'zod';

const MAX_IDENTIFIER_BYTES = 255;

/** Text that JSON, UTF-8, Redis and PostgreSQL all store unchanged. */
export const TextSchema = z
  .string('Expected a string')
  .min(1, 'Must not be empty')
  // One check instead of two, because it runs on every text of every signal.
  .superRefine((text, { addIssue }) => {
    if (!text.isWellFormed()) addIssue('Must be well-formed Unicode (it has a lone surrogate)');
    if (text.includes('\0')) addIssue('Must not contain a NUL character');
  });

/** `trim` removes what `\s` matches, but does not look for it along the whole text. */
export const isTrimmed = (text: string): boolean => text.trim() === text;

/**
 * Text without surrounding white space. SEEK compares identifiers byte for byte, so a stray space makes
 * another identifier. It is rejected and not trimmed: trimming would hide the caller's mistake.
 */
export const ExactTextSchema = TextSchema.refine(
  isTrimmed,
  'Must not begin or end with white space',
);

/** Correlates a signal with an application. Sensitive: never log it. SEEK documents no maximum length. */
export const SeekTokenSchema = ExactTextSchema;

// A UTF-16 code unit takes at most 3 bytes of UTF-8, so the bytes of most identifiers need no counting.
export const isWithinBytes =
  (max: number) =>
  (text: string): boolean =>
    text.length * 3 <= max || Buffer.byteLength(text) <= max;

export const fitsIdentifier = isWithinBytes(MAX_IDENTIFIER_BYTES);

/** An opaque SEEK object identifier (developer.seek.com, "Object identifiers"): at most 255 bytes. */
const objectIdentifier = ExactTextSchema.refine(
  fitsIdentifier,
  `Must be at most ${MAX_IDENTIFIER_BYTES} characters and ${MAX_IDENTIFIER_BYTES} bytes of UTF-8`,
);

export const CandidateApplicationProfileIdSchema = objectIdentifier;
export const PositionProfileIdSchema = objectIdentifier;
