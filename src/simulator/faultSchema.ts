import * as z from 'zod';

const when = {
  /** How many of the requests it could strike it does strike, 0 to 1. */
  rate: z.number().min(0).max(1).optional(),
  /** Strikes this many requests, then is gone. */
  next: z.int().min(1).optional(),
};

// A request is struck if any one of its signals matches both.
const forSignals = {
  typeCode: z.string().min(1).optional(),
  /** Part of a seek token or identifier. */
  contains: z.string().min(1).optional(),
};

/** The token endpoint answers 503. */
const TokenFaultSchema = z.strictObject({ kind: z.literal('tokenEndpointDown'), ...when });

/** A wait before whatever else happens. A signal still counts after its sender has hung up. */
const DelayFaultSchema = z.strictObject({
  kind: z.literal('slow'),
  delayMs: z.int().min(1).max(600_000),
  ...when,
  ...forSignals,
});

/** Strikes as a request arrives, whatever it says; nothing is accepted, `cutOff` excepted. */
const ArrivalFaultSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    // internalServerError, unauthenticated: that code, although the request was good
    // html502, emptyBody: as a proxy answers
    // expireTokens: all access tokens stop counting, that of this request included
    // cutOff: SEEK accepts, half of its answer arrives · reset: the connection is torn down
    kind: z.enum([
      'internalServerError',
      'unauthenticated',
      'html502',
      'emptyBody',
      'expireTokens',
      'cutOff',
      'reset',
    ]),
    ...when,
    ...forSignals,
  }),
  z.strictObject({
    kind: z.literal('rateLimited'),
    /** 200 is how GraphQL says it; 429 how SEEK documents it elsewhere. */
    status: z.union([z.literal(200), z.literal(429)]).default(200),
    retryAfterSeconds: z.int().min(0).optional(),
    ...when,
    ...forSignals,
  }),
  z.strictObject({
    kind: z.literal('unknownCode'),
    code: z.string().min(1).default('NEVER_SEEN_BEFORE'),
    ...when,
    ...forSignals,
  }),
]);

/** Strikes in place of a yes, so only a request that was valid in every way. */
const VerdictFaultSchema = z.strictObject({
  kind: z.enum(['forbidden', 'badUserInput']),
  ...when,
  ...forSignals,
});

export const FaultSchema = z
  .discriminatedUnion('kind', [
    TokenFaultSchema,
    DelayFaultSchema,
    ArrivalFaultSchema,
    VerdictFaultSchema,
  ])
  .refine(({ rate, next }) => (rate === undefined) !== (next === undefined), {
    message: 'Give either rate or next',
  });

/** The moments at which a fault can strike, and what can strike then. */
export type FaultsByStage = {
  token: z.infer<typeof TokenFaultSchema>;
  delay: z.infer<typeof DelayFaultSchema>;
  arrival: z.infer<typeof ArrivalFaultSchema>;
  verdict: z.infer<typeof VerdictFaultSchema>;
};

export type FaultStage = keyof FaultsByStage;
export type Fault = FaultsByStage[FaultStage];
export type FaultKind = Fault['kind'];
/** A fault as one writes it: what has a default may be left out. */
export type FaultInput = z.input<typeof FaultSchema>;

export const STAGES: Record<FaultKind, FaultStage> = {
  tokenEndpointDown: 'token',
  slow: 'delay',
  internalServerError: 'arrival',
  unauthenticated: 'arrival',
  html502: 'arrival',
  emptyBody: 'arrival',
  expireTokens: 'arrival',
  cutOff: 'arrival',
  reset: 'arrival',
  rateLimited: 'arrival',
  unknownCode: 'arrival',
  forbidden: 'verdict',
  badUserInput: 'verdict',
};
