import * as z from 'zod';

const frequency = {
  /** The share of matching requests to which the fault is applied, 0 to 1. */
  rate: z.number().min(0).max(1).optional(),
  /** The number of matching requests to which the fault is applied before it is removed. */
  next: z.int().min(1).optional(),
};

// A request matches if at least one of its signals matches both.
const signalFilter = {
  typeCode: z.string().min(1).optional(),
  /** Part of a seek token or identifier. */
  contains: z.string().min(1).optional(),
};

/** The token endpoint answers 503. */
const TokenFaultSchema = z.strictObject({ kind: z.literal('tokenEndpointDown'), ...frequency });

/** Delays the request before any other fault. Its signals count even if the client disconnects first. */
const DelayFaultSchema = z.strictObject({
  kind: z.literal('slow'),
  delayMs: z.int().min(1).max(600_000),
  ...frequency,
  ...signalFilter,
});

/** Applied before the request is executed, even if it is invalid. No signal is accepted, except with `cutOff`. */
const RequestFaultSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    // internalServerError, unauthenticated: an error with that code
    // html502, emptyBody: the response of a proxy
    // expireTokens: all access tokens expire, including the one of this request
    // cutOff: the signals are accepted, and half of the response is sent
    // reset: the connection is reset
    kind: z.enum([
      'internalServerError',
      'unauthenticated',
      'html502',
      'emptyBody',
      'expireTokens',
      'cutOff',
      'reset',
    ]),
    ...frequency,
    ...signalFilter,
  }),
  z.strictObject({
    kind: z.literal('rateLimited'),
    /** GraphQL errors have status 200. SEEK documents 429 elsewhere. */
    status: z.union([z.literal(200), z.literal(429)]).default(200),
    retryAfterSeconds: z.int().min(0).optional(),
    ...frequency,
    ...signalFilter,
  }),
  z.strictObject({
    kind: z.literal('unknownCode'),
    code: z.string().min(1).default('NEVER_SEEN_BEFORE'),
    ...frequency,
    ...signalFilter,
  }),
]);

/** Applied in place of an acceptance, so only to a valid request. `unconfirmed` accepts the signals. */
const AcceptanceFaultSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.enum(['forbidden', 'badUserInput']),
    ...frequency,
    ...signalFilter,
  }),
  z.strictObject({
    kind: z.literal('unconfirmed'),
    /** The value of the mutation in place of `true`. */
    value: z.literal([false, null]).default(false),
    ...frequency,
    ...signalFilter,
  }),
]);

export const FaultSchema = z
  .discriminatedUnion('kind', [
    TokenFaultSchema,
    DelayFaultSchema,
    RequestFaultSchema,
    AcceptanceFaultSchema,
  ])
  .refine(({ rate, next }) => (rate === undefined) !== (next === undefined), {
    message: 'Expected either rate or next',
  });

/** The stages of a request at which a fault can be applied, each with its faults. */
export type FaultsByStage = {
  token: z.infer<typeof TokenFaultSchema>;
  delay: z.infer<typeof DelayFaultSchema>;
  request: z.infer<typeof RequestFaultSchema>;
  acceptance: z.infer<typeof AcceptanceFaultSchema>;
};

export type FaultStage = keyof FaultsByStage;
export type Fault = FaultsByStage[FaultStage];
export type FaultKind = Fault['kind'];
/** A fault as a caller passes it: fields with a default are optional. */
export type FaultInput = z.input<typeof FaultSchema>;

export const STAGES: Record<FaultKind, FaultStage> = {
  tokenEndpointDown: 'token',
  slow: 'delay',
  internalServerError: 'request',
  unauthenticated: 'request',
  html502: 'request',
  emptyBody: 'request',
  expireTokens: 'request',
  cutOff: 'request',
  reset: 'request',
  rateLimited: 'request',
  unknownCode: 'request',
  forbidden: 'acceptance',
  badUserInput: 'acceptance',
  unconfirmed: 'acceptance',
};
