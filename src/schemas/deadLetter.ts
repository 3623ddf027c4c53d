import * as z from 'zod';
import { upgradeDeadLetter } from './olderNames.ts';
import { AttemptSchema, RedriveSchema } from './signalJob.ts';

/** What is kept of a signal that we stopped trying to deliver. */
export type DeadLetter = z.infer<typeof DeadLetterSchema>;

/** Version 1 named the failed job otherwise. */
export const DEAD_LETTER_VERSION = 2;

const DeadLetterFields = z.object({
  version: z
    .literal([1, DEAD_LETTER_VERSION])
    .transform((): typeof DEAD_LETTER_VERSION => DEAD_LETTER_VERSION),
  signalId: z.string(),
  /** The job that failed: its id in `signals`, and the millisecond at which it did. */
  failedJob: z.object({ jobId: z.string(), finishedAt: z.number() }),
  typeCode: z.string(),
  reason: z.string(),
  code: z.string(),
  diedAt: z.iso.datetime(),
  acceptedAt: z.iso.datetime(),
  attempts: z.array(AttemptSchema),
  redrives: z.number().int(),
  /** The job's data exactly as it was, readable or not: what a redrive puts back. */
  job: z.unknown(),
  /** Asked for before a worker had failed the dead letter, when there was nothing to retry yet. */
  redriveRequested: z.boolean().optional(),
  /** Who asked last for it to be put back, and when: noted before it goes, and kept with the signal. */
  redriveBy: RedriveSchema.optional().catch(undefined),
});

export const DeadLetterSchema = z.preprocess(upgradeDeadLetter, DeadLetterFields);

/** As much of a dead letter as a version that came after this one may be trusted to have kept. */
export const NewerDeadLetterSchema = z.object({
  version: z.int().gt(DEAD_LETTER_VERSION),
  reason: z.string().optional(),
  code: z.string().optional(),
});

export const failureId = ({ failedJob }: Pick<DeadLetter, 'failedJob'>): string =>
  `${failedJob.jobId}@${failedJob.finishedAt}`;
