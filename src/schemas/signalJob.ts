import * as z from 'zod';
import { upgradeAttempt, upgradeSignalJob } from './olderNames.ts';
import { TokenSourceSchema } from './seekToken.ts';
import { AnySignalSchema } from './signal.ts';
import { TraceContextSchema } from './traceContext.ts';

/** What an attempt came to. */
export const OutcomeKindSchema = z.enum(['delivered', 'skipped', 'retry', 'dead']);

/** Why a worker does not send a signal at all. */
export type SkipReason = 'no-token' | 'token-expired' | 'application-erased';

/** One try at delivering a signal, as kept with it. Holds no token. */
export type Attempt = z.infer<typeof AttemptSchema>;

const AttemptFields = z.object({
  /** When the attempt began. */
  at: z.iso.datetime(),
  /** The X-Request-Id that SEEK was given with the last request of the attempt. */
  requestId: z.string().optional(),
  outcome: OutcomeKindSchema,
  /** SEEK's error code, or ours where SEEK gave none. */
  code: z.string().optional(),
  /** SEEK's message; why it was skipped. */
  reason: z.string().optional(),
  durationMs: z.number(),
  /** Where its application's seek token came from, of a signal that names an application. */
  tokenUsed: z
    .object({ source: TokenSourceSchema, receivedAt: z.iso.datetime(), expired: z.boolean() })
    .optional(),
});

export const AttemptSchema = z.preprocess(upgradeAttempt, AttemptFields);

/** A try that spent no attempt. Holds no token. */
export const DeferralSchema = z.object({
  at: z.iso.datetime(),
  code: z.string(),
  reason: z.string(),
});

export type Deferral = z.infer<typeof DeferralSchema>;

/** That a dead letter was put back, when that was asked for, and by whom, where they said so. */
export const RedriveSchema = z.object({ at: z.iso.datetime(), by: z.string().optional() });

export type Redrive = z.infer<typeof RedriveSchema>;

/** What the queue holds of a signal. Written by producers, read by workers of other versions too. */
export type SignalJob = z.infer<typeof SignalJobSchema>;

/** As a producer writes it: what says nothing yet is left out. */
export type NewSignalJob = Omit<SignalJob, 'redrives' | 'attempts'>;

/**
 * What is written now. Workers leave newer ones to others: those of version 1 would send a signal
 * without its sealed token, those of 2 want what 3 leaves out.
 */
export const VERSION = 4;

/** How long after acceptance a signal is recognised as a duplicate. A job holds only another time. */
export const DEDUPE_WINDOW_MS = 24 * 3_600_000;

/** The longest time that may be configured: 366 days. */
export const MAX_DEDUPE_WINDOW_MS = 366 * 24 * 3_600_000;

const SignalJobFields = z.object({
  version: z.literal(VERSION),
  signal: AnySignalSchema,
  /** The token that the signal came with, where there is a key to seal it with. Since version 2. */
  encryptedToken: z.object({ ciphertext: z.string(), fingerprint: z.string() }).optional(),
  /** Of the content, where an Idempotency-Key stands for it; otherwise the job's own id is. */
  contentId: z.string().optional(),
  /** How long it is recognised as a duplicate, counted from its acceptance, if not `DEDUPE_WINDOW_MS`. */
  dedupeWindowMs: z.number().optional().catch(undefined),
  /** Who keeps a row of it, and wants to hear what becomes of it. */
  reportTo: z.literal('outbox').optional().catch(undefined),
  acceptedAt: z.iso.datetime(),
  /** The name of the API key, or of the application, that sent it. */
  acceptedFrom: z.string(),
  redrives: z.number().int().default(0),
  redrivenAt: z.iso.datetime().optional(),
  /** The burial that this life follows; tells a redriven job from the one that died. */
  redriveOf: z.string().optional(),
  /** Over all its lives, oldest first. A version that knows nothing of it drops it. */
  redriveLog: z.array(RedriveSchema).optional().catch(undefined),
  /** Over all its lives, oldest first. */
  attempts: z.array(AttemptSchema).default([]),
  /** When a retrying signal is due. */
  nextAttemptAt: z.iso.datetime().optional(),
  /** How often in a row it was put off, with no attempt spent. */
  deferrals: z.number().int().optional(),
  /** Why it was, the last time. */
  lastDeferral: DeferralSchema.optional(),
  /** How many workers in a row died while they tried it apart from all others. */
  isolatedCrashes: z.number().int().optional(),
  /** The trace that it was accepted in. Here, for what BullMQ keeps beside the data ends with a burial. */
  ...TraceContextSchema.shape,
});

/** Reads jobs of versions 1 to 3 too, and names their fields as this version does. */
export const SignalJobSchema = z.preprocess(
  (data) => upgradeSignalJob(data, VERSION),
  SignalJobFields,
);

/** Our code for a job whose data is not a signal. */
export const UNREADABLE = 'UNREADABLE';

/** Our code for a signal whose workers kept dying under it. */
export const STALLED = 'STALLED';

// A signal that waits out a long outage must not grow without bound.
const MAX_ATTEMPTS_KEPT = 200;

export const withAttempt = (job: SignalJob, attempt: Attempt): SignalJob => ({
  ...job,
  attempts: [...job.attempts, attempt].slice(-MAX_ATTEMPTS_KEPT),
});

// One that a program puts back again and again must not either.
const MAX_REDRIVES_KEPT = 50;

export const withRedrive = (job: SignalJob, redrive: Redrive): SignalJob => ({
  ...job,
  redriveLog: [...(job.redriveLog ?? []), redrive].slice(-MAX_REDRIVES_KEPT),
});

const LoggedSchema = SignalJobFields.pick({ redriveLog: true });

/** As it is told of a signal: not at all, where there is nothing. Of any data, whatever wrote them. */
export const redriveLogOf = (data: unknown): { redriveLog?: Redrive[] } => {
  const { redriveLog = [] } = LoggedSchema.safeParse(data).data ?? {};
  return redriveLog.length === 0 ? {} : { redriveLog };
};

/** What a settled job returns: how it ended, and its last attempt. */
export type JobResult = z.infer<typeof JobResultSchema>;

export const JobResultSchema = z.object({
  outcome: z.enum(['delivered', 'skipped']),
  attempt: AttemptSchema.optional(),
});

type Failure = { code?: string | undefined; reason?: string | undefined };

/** The text that a job fails with, on the board and in BullMQ's `failedReason`. */
export const failureText = ({ code, reason }: Failure): string =>
  [code, reason].filter((part) => part !== undefined && part !== '').join(': ');
