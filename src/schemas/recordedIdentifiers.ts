import * as z from 'zod';

import { CandidateApplicationProfileIdSchema } from './identifiers.ts';
import { ApplicationIdSchema } from './seekToken.ts';
import { PositionProfileIdsSchema } from './signal.ts';

/** The ATS's own name for a position (requisition): opaque, at most 255 bytes of UTF-8. */
export const PositionIdSchema = ApplicationIdSchema;

/** The candidate application profile that SEEK gave an application on its own form. */
export type CandidateApplicationProfileInput = {
  /** The ATS's own name for the application; opaque, at most 255 bytes. */
  applicationId: string;
  /** SEEK's object identifier, exactly as received; at most 255 bytes. */
  candidateApplicationProfileId: string;
};

export const CandidateApplicationProfileInputSchema = z.strictObject(
  {
    applicationId: ApplicationIdSchema,
    candidateApplicationProfileId: CandidateApplicationProfileIdSchema,
  },
  'Expected an object with candidateApplicationProfileId',
);

/** The position profiles that SEEK gave a position, one for each job ad. */
export type PositionInput = {
  /** The ATS's own name for the position; opaque, at most 255 bytes. */
  positionId: string;
  /** SEEK's object identifiers, exactly as received; at most 255 bytes each. A string counts as a list of one. */
  positionProfileIds: string | readonly string[];
};

export const PositionInputSchema = z.strictObject(
  { positionId: PositionIdSchema, positionProfileIds: PositionProfileIdsSchema },
  'Expected an object with positionProfileIds',
);

/** What is stored of a position. */
export const PositionRecordSchema = z.object({
  version: z.literal(1),
  positionProfileIds: z.array(z.string()).min(1),
  recordedAt: z.iso.datetime(),
});

export type PositionRecord = z.infer<typeof PositionRecordSchema>;
