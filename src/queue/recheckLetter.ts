import * as z from 'zod';

import type { DeadLetter } from '../schemas/deadLetter.ts';
import { type InvalidFields, toInvalidFields } from '../schemas/invalidFields.ts';
import { parseSignal } from '../schemas/parseSignal.ts';
import { SignalJobSchema, VERSION } from '../schemas/signalJob.ts';

const NewerJobSchema = z.looseObject({ version: z.int().gt(VERSION) });

// The token of a sealed signal was looked at when it came, and what stands beside it still can be.
const SEALED_TOKEN = 'sealed';

/**
 * What the rules at the door, as they are today, have against the signal of a letter; `undefined`:
 * nothing. It would come back as it went. What SEEK once said against it is no rule of ours, and SEEK
 * may have changed its mind. A job that a newer version wrote is for a newer worker to judge.
 */
export const recheckLetter = ({ job }: DeadLetter, now: Date): InvalidFields | undefined => {
  const read = SignalJobSchema.safeParse(job, { reportInput: true });
  if (!read.success) {
    return NewerJobSchema.safeParse(job).success ? undefined : toInvalidFields(read.error);
  }
  const { signal, sealedToken } = read.data;
  const whole = sealedToken === undefined ? signal : { ...signal, token: SEALED_TOKEN };
  // A type that was let in is let in again, whatever is set now. The audience only makes for warnings.
  const parsed = parseSignal(whole, { now, allowUnknownTypes: true, audience: '' });
  return parsed.kind === 'valid' ? undefined : parsed.invalidFields;
};
