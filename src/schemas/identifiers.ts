import * as z from 'zod';

const MAX_IDENTIFIER_BYTES = 255;

/** Text that survives every hop unharmed: JSON, UTF-8, Redis, PostgreSQL. */
export const TextSchema = z
  .string('Expected a string')
  .min(1, 'Must not be empty')
  // In one check, for it is made of every text of every signal.
  .superRefine((text, { addIssue }) => {
    if (!text.isWellFormed()) addIssue('Must be well-formed Unicode (it has a lone surrogate)');
    if (text.includes('\0')) addIssue('Must not contain a NUL character');
  });

// SEEK compares identifiers byte for byte, so a stray space is a different identifier. Trimming it
// here would hide the fault in the caller that put it there.
export const ExactTextSchema = TextSchema.refine(
  (text) => !/^\s|\s$/u.test(text),
  'Must not begin or end with white space',
);

/** Correlates a signal with an application. Sensitive. SEEK documents no length. */
export const SeekTokenSchema = ExactTextSchema;

/** An opaque SEEK object identifier (developer.seek.com, "Object identifiers"): at most 255 bytes. */
const objectIdentifier = ExactTextSchema.refine(
  (text) => Buffer.byteLength(text) <= MAX_IDENTIFIER_BYTES,
  `Must be at most ${MAX_IDENTIFIER_BYTES} characters and ${MAX_IDENTIFIER_BYTES} bytes of UTF-8`,
);

export const CandidateApplicationProfileIdSchema = objectIdentifier;
export const PositionProfileIdSchema = objectIdentifier;
