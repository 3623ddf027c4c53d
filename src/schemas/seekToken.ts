import * as z from 'zod';

import { DateTimeSchema } from './dateTime.ts';
import { ExactTextSchema, SeekTokenSchema } from './identifiers.ts';
import { upgradeStoredToken } from './olderNames.ts';

const MAX_APPLICATION_ID_BYTES = 255;

/** The ATS's own name for an application. */
export const ApplicationIdSchema = ExactTextSchema.refine(
  (text) => Buffer.byteLength(text) <= MAX_APPLICATION_ID_BYTES,
  `Must be at most ${MAX_APPLICATION_ID_BYTES} bytes of UTF-8`,
);

/** How a seek token reached us: on the way from a SEEK job ad, or from Apply with SEEK. */
export const TokenSourceSchema = z.enum(
  ['linkOut', 'applyWithSeek'],
  'Expected linkOut or applyWithSeek',
);

export type TokenSource = z.infer<typeof TokenSourceSchema>;

/** A seek token that reached the ATS with an application. */
export type SeekTokenInput = {
  /** The ATS's own name for the application; opaque, at most 255 bytes. */
  applicationId: string;
  /** Exactly as received. */
  token: string;
  source: TokenSource;
  /** When it reached the ATS: RFC 3339 with an offset, or a Date. Default: now. */
  receivedAt?: string | Date | null | undefined;
};

/** What came in with one token. */
export const SeekTokenInputSchema = z.strictObject(
  {
    applicationId: ApplicationIdSchema,
    token: SeekTokenSchema,
    source: TokenSourceSchema,
    receivedAt: DateTimeSchema.nullish(),
  },
  'Expected an object with token and source',
);

/** A token as it is kept: in the clear or, with a key to do it with, sealed. */
const StoredTokenFields = z.object({
  token: z.string().optional(),
  ciphertext: z.string().optional(),
  /** Tells equal tokens from others without showing them. */
  fingerprint: z.string(),
  /** What people are shown in its place. */
  masked: z.string(),
  source: TokenSourceSchema,
  /** When it first reached the ATS. */
  receivedAt: z.iso.datetime(),
});

export const StoredTokenSchema = z.preprocess(upgradeStoredToken, StoredTokenFields);

export type StoredToken = z.infer<typeof StoredTokenSchema>;

/** Version 1 named the encrypted token otherwise. */
export const APPLICATION_TOKENS_VERSION = 2;

/** All that is known of an application. */
export const ApplicationTokensSchema = z.object({
  version: z
    .literal([1, APPLICATION_TOKENS_VERSION])
    .transform((): typeof APPLICATION_TOKENS_VERSION => APPLICATION_TOKENS_VERSION),
  tokens: z.array(StoredTokenSchema),
  /** When it was last erased on request: what had been received by then stays erased. */
  erasedAt: z.iso.datetime().optional(),
  /** The fingerprints of tokens that are not kept any more: signals that hold them can still be found. */
  past: z.array(z.string()).optional(),
});

export type ApplicationTokens = z.infer<typeof ApplicationTokensSchema>;
