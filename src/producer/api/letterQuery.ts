import * as z from 'zod';

import { CURSOR } from '../../queue/letterPages.ts';
import { count } from './readQuery.ts';

const instant = z.iso
  .datetime({ offset: true, error: 'Expected an RFC 3339 timestamp' })
  .pipe(z.coerce.date());

/** Which letters are meant. */
export const CountSchema = z.strictObject({
  code: z.string().optional(),
  type: z.string().optional(),
  since: instant.optional(),
  until: instant.optional(),
  applicationId: z.string().optional(),
  positionProfileId: z.string().optional(),
  text: z.string().optional(),
});

export const ListSchema = CountSchema.extend({
  limit: count.max(1000, 'Expected at most 1000').optional(),
  cursor: z.string().regex(CURSOR, 'Expected the nextCursor of a page').optional(),
});

export const ExportSchema = CountSchema.extend({ limit: count.optional() });

const dryRun = z
  .literal([true, false, 'true', 'false'], 'Expected true or false')
  .transform((value) => value === true || value === 'true')
  .optional();
const PER_SECOND = 'Expected a number from 0.1 to 1000';
const rate = z.coerce.number(PER_SECOND).min(0.1, PER_SECOND).max(1000, PER_SECOND).optional();

export const RedriveSchema = ExportSchema.extend({ rate, dryRun });
export const RedriveOneSchema = z.strictObject({ dryRun });
