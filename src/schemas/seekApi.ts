import * as z from 'zod';
import type { SeekSignal } from './signal.ts';

/**
 * Live and playground share their endpoints and differ in the audience (developer.seek.com, "Playground
 * environment").
 */
export const LIVE_AUDIENCE = 'https://graphql.seek.com';
export const PLAYGROUND_AUDIENCE = 'https://test.graphql.seek.com';

// developer.seek.com, "Sending signals". The input is a variable, because SEEK rejects inlined arguments.
const SEND_SIGNAL = 'mutation ($input: SendSignalInput!) { sendSignal(input: $input) }';

// Takes up to 100 signals of any types. The response has no result per signal.
const SEND_SIGNALS = 'mutation ($input: SendSignalsInput!) { sendSignals(input: $input) }';

/**
 * Builds the GraphQL request: `sendSignal` for one signal, `sendSignals` for several. Signals are sent as
 * they are. `success: null` must stay: to SEEK it means that the process continues.
 */
export const toMutation = (signals: readonly SeekSignal[]) =>
  signals.length === 1
    ? { query: SEND_SIGNAL, variables: { input: signals[0] } }
    : { query: SEND_SIGNALS, variables: { input: { signals } } };

/**
 * One entry of `errors`. SEEK adds and changes codes (developer.seek.com, "Error responses"), so any is
 * accepted.
 */
export type SeekError = z.infer<typeof SeekErrorSchema>;

export const SeekErrorSchema = z.object({
  message: z.string().catch(''),
  extensions: z
    .looseObject({ code: z.string().optional().catch(undefined) })
    .optional()
    .catch(undefined),
});

// Of a token whose answer states no usable lifetime, in seconds.
const DEFAULT_LIFETIME = 300;
// A longer one is a mistake, or is given in milliseconds.
const MAX_LIFETIME = 86_400;

const toLifetime = (expiresIn: unknown): number => {
  const seconds = typeof expiresIn === 'string' ? Number(expiresIn) : expiresIn;
  return typeof seconds === 'number' && seconds > 0
    ? Math.min(seconds, MAX_LIFETIME)
    : DEFAULT_LIFETIME;
};

/**
 * Response of the token endpoint. `expires_in` is in seconds and varies (developer.seek.com, "Partner
 * tokens"). OAuth allows it to be absent, and servers send it as a text.
 */
export const PartnerTokenAnswerSchema = z.object({
  // The token is sent in a header, which allows only visible ASCII characters, and not without limit.
  access_token: z
    .string()
    .trim()
    .max(16_384)
    .regex(/^[\x21-\x7e]+$/),
  expires_in: z.unknown().optional().transform(toLifetime),
});

/** An OAuth error (RFC 6749, section 5.2). Servers also send one under a status of success. */
export const TokenErrorSchema = z.object({ error: z.string() });
