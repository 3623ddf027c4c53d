import * as z from 'zod';
import { upgradeDeadLetter } from './olderNames.ts';
import { AttemptSchema, RedriveSchema } from './signalJob.ts';

/** A signal that the dispatcher stopped trying to deliver, as stored in the queue `dead-letters`. */
export type DeadLetter = z.infer<typeof DeadLetterSchema>;

/** Version 1 stores `failedJob` under the name `burial`. */
export const DEAD_LETTER_VERSION = 2;

const DeadLetterFields = z.object({
  version: z
    .literal([1, DEAD_LETTER_VERSION])
    .transform((): typeof DEAD_LETTER_VERSION => DEAD_LETTER_VERSION),
  signalId: z.string(),
  /** The failed job: its id in `signals`, and when it failed, in milliseconds since the epoch. */
  failedJob: z.object({ jobId: z.string(), finishedAt: z.number() }),
  typeCode: z.string(),
  reason: z.string(),
  code: z.string(),
  diedAt: z.iso.datetime(),
  acceptedAt: z.iso.datetime(),
  attempts: z.array(AttemptSchema),
  redrives: z.number().int(),
  /** The data of the failed job, unchanged, readable or not. A redrive adds it to the queue again. */
  job: z.unknown(),
  /** A redrive was requested before a worker had failed this job, so BullMQ could not retry it yet. */
  redriveRequested: z.boolean().optional(),
  /** The most recent redrive request. Written before the redrive, then moved to the signal's `redriveLog`. */
  redriveBy: RedriveSchema.optional().catch(undefined),
});

export const DeadLetterSchema = z.preprocess(upgradeDeadLetter, DeadLetterFields);

/** The fields that this version relies on in a dead letter of a newer version. */
export const NewerDeadLetterSchema = z.object({
  version: z.int().gt(DEAD_LETTER_VERSION),
  reason: z.string().optional(),
  code: z.string().optional(),
});

/** Identifies one failure of one job, so that a redriven job is not taken for the one that failed. */
export const failureId = ({ failedJob }: Pick<DeadLetter, 'failedJob'>): string =>
  `${failedJob.jobId}@${failedJob.finishedAt}`;
