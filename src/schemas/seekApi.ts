import * as z from 'zod';
import type { SeekSignal } from './signal.ts';

/** developer.seek.com, "Playground environment": the endpoints are shared, the audience is not. */
export const LIVE_AUDIENCE = 'https://graphql.seek.com';
export const PLAYGROUND_AUDIENCE = 'https://test.graphql.seek.com';

// developer.seek.com, "Sending signals". The argument is a variable: SEEK refuses inlined ones.
const SEND_SIGNAL = 'mutation ($input: SendSignalInput!) { sendSignal(input: $input) }';

/** Up to 100 signals, their types mixed; the answer holds no verdict per signal. */
const SEND_SIGNALS = 'mutation ($input: SendSignalsInput!) { sendSignals(input: $input) }';

/**
 * Ours → SEEK's. The names are the same; what a caller left out is left out here too, and
 * `success: null` stays, for it means "still going on". A lone signal goes by `sendSignal`.
 */
export const toMutation = (signals: readonly SeekSignal[]) =>
  signals.length === 1
    ? { query: SEND_SIGNAL, variables: { input: signals[0] } }
    : { query: SEND_SIGNALS, variables: { input: { signals } } };

/** One entry of `errors`. Codes change and get added (developer.seek.com, "Error responses"). */
export type SeekError = z.infer<typeof SeekErrorSchema>;

export const SeekErrorSchema = z.object({
  message: z.string().catch(''),
  extensions: z
    .looseObject({ code: z.string().optional().catch(undefined) })
    .optional()
    .catch(undefined),
});

/** developer.seek.com, "Partner tokens": `expires_in` is in seconds and may differ every time. */
export const PartnerTokenAnswerSchema = z.object({
  // It goes into a header, which takes nothing else.
  access_token: z.string().regex(/^[\x21-\x7e]+$/),
  expires_in: z.number().positive(),
});
