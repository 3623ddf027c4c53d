import * as z from 'zod';

import { DateTimeSchema } from './dateTime.ts';
import { ExactTextSchema, isWithinBytes, SeekTokenSchema } from './identifiers.ts';
import { upgradeStoredToken } from './olderNames.ts';

const MAX_APPLICATION_ID_BYTES = 255;

export const fitsApplicationId = isWithinBytes(MAX_APPLICATION_ID_BYTES);

/** The ATS's own id of an application; opaque. */
export const ApplicationIdSchema = ExactTextSchema.refine(
  fitsApplicationId,
  `Must be at most ${MAX_APPLICATION_ID_BYTES} bytes of UTF-8`,
);

/** How a seek token reached the ATS: by the link from a SEEK job ad, or by Apply with SEEK. */
export const TokenSourceSchema = z.enum(
  ['linkOut', 'applyWithSeek'],
  'Expected linkOut or applyWithSeek',
);

export type TokenSource = z.infer<typeof TokenSourceSchema>;

/** A seek token that the ATS received with an application, as `recordSeekToken` takes it. */
export type SeekTokenInput = {
  /** The ATS's own id of the application; opaque, at most 255 bytes of UTF-8. */
  applicationId: string;
  /** The token exactly as received; `readSeekToken` returns it in this form. */
  token: string;
  /** How the token reached the ATS. Decides only between tokens that were received at the same instant. */
  source: TokenSource;
  /** When the ATS received the token: RFC 3339 with an offset, or a Date. Default: now. */
  receivedAt?: string | Date | null | undefined;
};

export const SeekTokenInputSchema = z.strictObject(
  {
    applicationId: ApplicationIdSchema,
    token: SeekTokenSchema,
    source: TokenSourceSchema,
    receivedAt: DateTimeSchema.nullish(),
  },
  'Expected an object with token and source',
);

/**
 * A recorded token as stored: encrypted (`ciphertext`), or in plain text (`token`) if no key is
 * configured.
 */
const StoredTokenFields = z.object({
  token: z.string().optional(),
  ciphertext: z.string().optional(),
  /** Equal for equal tokens; the token cannot be derived from it. */
  fingerprint: z.string(),
  /** What API, CLI and board show in place of the token. */
  masked: z.string(),
  source: TokenSourceSchema,
  /** When the ATS first received the token. */
  receivedAt: z.iso.datetime(),
});

export const StoredTokenSchema = z.preprocess(upgradeStoredToken, StoredTokenFields);

export type StoredToken = z.infer<typeof StoredTokenSchema>;

/** Version 1 stores `ciphertext` under the name `sealed`. */
export const APPLICATION_TOKENS_VERSION = 2;

const CandidateApplicationProfileSchema = z.object({
  /** SEEK's object identifier, exactly as received. */
  id: z.string(),
  recordedAt: z.iso.datetime(),
});

export type CandidateApplicationProfile = z.infer<typeof CandidateApplicationProfileSchema>;

/** The stored record of an application: what identifies it to SEEK, or that it was erased. */
export const ApplicationTokensSchema = z.object({
  version: z
    .literal([1, APPLICATION_TOKENS_VERSION])
    .transform((): typeof APPLICATION_TOKENS_VERSION => APPLICATION_TOKENS_VERSION),
  tokens: z.array(StoredTokenSchema),
  /** When the tokens leave a record that its profile keeps for longer. Without a profile the record expires. */
  tokensUntil: z.iso.datetime().optional(),
  /** Of an application that came from SEEK's own form. */
  candidateApplicationProfile: CandidateApplicationProfileSchema.optional(),
  /** When the application was last erased. Tokens received before that are not recorded again. */
  erasedAt: z.iso.datetime().optional(),
  /**
   * Fingerprints of tokens and profile ids that are no longer stored. An erasure finds the signals that
   * hold them by these.
   */
  past: z.array(z.string()).optional(),
});

export type ApplicationTokens = z.infer<typeof ApplicationTokensSchema>;
