import * as z from 'zod';
import { upgradeAttempt, upgradeSignalJob } from './olderNames.ts';
import { TokenSourceSchema } from './seekToken.ts';
import { AnySignalSchema } from './signal.ts';
import { TraceContextSchema } from './traceContext.ts';

/** The outcome of an attempt. */
export const OutcomeKindSchema = z.enum(['delivered', 'skipped', 'retry', 'dead']);

/** Why a worker skips a signal. */
export type SkipReason =
  /** Nothing is recorded of the application: it did not come through SEEK. */
  | 'no-token'
  | 'token-expired'
  | 'application-erased'
  /** The application came from SEEK's own form, which reports completion itself. */
  | 'not-required'
  /** Nothing is recorded of the position: it was not advertised on SEEK. */
  | 'not-advertised';

/** One attempt to deliver a signal, as stored with it. Holds no token. */
export type Attempt = z.infer<typeof AttemptSchema>;

// A worker stores a text that is redacted and cut.
const SeekAnswerSchema = z.union([z.boolean(), z.number(), z.string(), z.null()]);

/** The value with which SEEK answered without errors: a primitive, or the JSON type of another. */
export type SeekAnswer = z.infer<typeof SeekAnswerSchema>;

const AttemptFields = z.object({
  at: z.iso.datetime().describe('When the attempt began'),
  requestId: z.string().describe('X-Request-Id of the last request to SEEK').optional(),
  outcome: OutcomeKindSchema.describe('Outcome of the attempt'),
  code: z.string().describe('Error code, of SEEK or of the dispatcher').optional(),
  reason: z.string().describe('Message of SEEK, or why the signal was skipped').optional(),
  durationMs: z.number().describe('Duration of the attempt, in milliseconds'),
  outage: z
    .literal(true)
    .describe('Other signals got such answers too, so that the signal is not at fault')
    .optional(),
  seekAnswer: SeekAnswerSchema.describe(
    'Value of an answer without errors that was not `true`: the value, or its JSON type',
  ).optional(),
  tokenUsed: z
    .object({
      source: TokenSourceSchema.describe('How the token reached the ATS'),
      receivedAt: z.iso.datetime().describe('When the ATS received the token'),
      expired: z.boolean().describe('Whether the token had expired when it was sent'),
    })
    .describe('The seek token of the application that the signal names')
    .optional(),
});

export const AttemptSchema = z.preprocess(upgradeAttempt, AttemptFields);

/** A postponement of a signal that cost no attempt. Holds no token. */
export const DeferralSchema = z.object({
  at: z.iso.datetime().describe('When the signal was deferred'),
  code: z.string().describe('Error code, of SEEK or of the dispatcher'),
  reason: z.string().describe('Why the signal was deferred'),
});

export type Deferral = z.infer<typeof DeferralSchema>;

/** One redrive of a dead letter. */
export const RedriveSchema = z.object({
  at: z.iso.datetime().describe('When the redrive was requested'),
  by: z.string().describe('API key or operator that requested it').optional(),
});

export type Redrive = z.infer<typeof RedriveSchema>;

/**
 * The data of a job in the queue `signals`. Producers and workers of other versions read and write it
 * too.
 */
export type SignalJob = z.infer<typeof SignalJobSchema>;

/** The data of a job as a producer writes it, without the fields that have defaults. */
export type NewSignalJob = Omit<SignalJob, 'redrives' | 'attempts'>;

/**
 * The version of newly written jobs. A worker leaves jobs of a newer version to newer workers: a worker of
 * version 1 would send a signal without its encrypted token, and version 2 requires fields that 3 omits.
 */
export const SIGNAL_JOB_VERSION = 4;

/** The default of `DEDUPE_WINDOW_MS`: 24 hours. A job stores its window only if it differs. */
export const DEDUPE_WINDOW_MS = 24 * 3_600_000;

/** The longest dedupe window that can be configured: 366 days. */
export const MAX_DEDUPE_WINDOW_MS = 366 * 24 * 3_600_000;

const SignalJobFields = z.object({
  version: z.literal(SIGNAL_JOB_VERSION),
  signal: AnySignalSchema,
  /**
   * The signal's own token, if a key to encrypt it is configured; `signal` then has none. Since version
   * 2.
   */
  encryptedToken: z.object({ ciphertext: z.string(), fingerprint: z.string() }).optional(),
  /** The id of the content. Absent if it is the job id, that is, without an Idempotency-Key. */
  contentId: z.string().optional(),
  /** The dedupe window in milliseconds from acceptance, if it is not `DEDUPE_WINDOW_MS`. */
  dedupeWindowMs: z.number().optional().catch(undefined),
  /** Set if an outbox tracks the outcome of this signal. */
  reportTo: z.literal('outbox').optional().catch(undefined),
  acceptedAt: z.iso.datetime(),
  /** The name of the API key, or of the producer, that sent the signal. */
  acceptedFrom: z.string(),
  redrives: z.number().int().default(0),
  redrivenAt: z.iso.datetime().optional(),
  /**
   * The `failureId` of the dead letter that was redriven. Tells the redriven job from the one that
   * failed.
   */
  redriveOf: z.string().optional(),
  /** All redrives, oldest first. A worker of a version that does not know this field drops it. */
  redriveLog: z.array(RedriveSchema).optional().catch(undefined),
  /** All attempts, oldest first, also those before a redrive. */
  attempts: z.array(AttemptSchema).default([]),
  /** When a retrying signal is sent again. */
  nextAttemptAt: z.iso.datetime().optional(),
  /** Consecutive deferrals. */
  deferrals: z.number().int().optional(),
  /** The most recent deferral. */
  lastDeferral: DeferralSchema.optional(),
  /** Consecutive worker crashes while this was the worker's only signal in flight. */
  isolatedCrashes: z.number().int().optional(),
  // The trace in which the signal was accepted. Stored here, because BullMQ's own telemetry field is lost
  // when the signal moves to the dead letters.
  ...TraceContextSchema.shape,
});

/** Reads the data of a job of version 1 to 4. */
export const SignalJobSchema = z.preprocess(
  (data) => upgradeSignalJob(data, SIGNAL_JOB_VERSION),
  SignalJobFields,
);

/** The code for a job whose data is not a signal. */
export const UNREADABLE = 'UNREADABLE';

/** The code for a poison signal: its workers kept crashing. */
export const STALLED = 'STALLED';

// Without a bound, a signal that is retried through a long outage would grow with every attempt.
const MAX_ATTEMPTS_KEPT = 200;

export const withAttempt = (job: SignalJob, attempt: Attempt): SignalJob => ({
  ...job,
  attempts: [...job.attempts, attempt].slice(-MAX_ATTEMPTS_KEPT),
});

// Without a bound, a signal that a program redrives again and again would grow.
const MAX_REDRIVES_KEPT = 50;

export const withRedrive = (job: SignalJob, redrive: Redrive): SignalJob => ({
  ...job,
  redriveLog: [...(job.redriveLog ?? []), redrive].slice(-MAX_REDRIVES_KEPT),
});

const RedriveLogSchema = SignalJobFields.pick({ redriveLog: true });

/** The redrive log of a job of any version, to be spread into a record; no field if it is empty. */
export const redriveLogOf = (data: unknown): { redriveLog?: Redrive[] } => {
  const { redriveLog = [] } = RedriveLogSchema.safeParse(data).data ?? {};
  return redriveLog.length === 0 ? {} : { redriveLog };
};

/** The return value of a completed job: its outcome and its last attempt. */
export type JobResult = z.infer<typeof JobResultSchema>;

export const JobResultSchema = z.object({
  outcome: z.enum(['delivered', 'skipped']),
  attempt: AttemptSchema.optional(),
});

type Failure = { code?: string | undefined; reason?: string | undefined };

/** The text that a job fails with: BullMQ stores it as `failedReason`, and the board shows it. */
export const failureText = ({ code, reason }: Failure): string =>
  [code, reason].filter((part) => part !== undefined && part !== '').join(': ');
