import * as z from 'zod';
import type { DeadLetter } from '../schemas/deadLetter.ts';
import { type InvalidFields, toInvalidFields } from '../schemas/invalidFields.ts';
import { parseSignal } from '../schemas/parseSignal.ts';
import { SIGNAL_JOB_VERSION, SignalJobSchema } from '../schemas/signalJob.ts';

const NewerJobSchema = z.looseObject({ version: z.int().gt(SIGNAL_JOB_VERSION) });

// Stands in for an encrypted token. The producer validated the token before it encrypted it.
const TOKEN_PLACEHOLDER = 'encrypted';

/**
 * Checks the signal of a dead letter against the validation rules of today. Returns `undefined` if it
 * passes. A signal that fails would come back as a dead letter. An earlier rejection by SEEK does not
 * count, because SEEK may decide otherwise now. A job of a newer version passes: a newer worker checks it.
 */
export const revalidate = ({ job }: DeadLetter, now: Date): InvalidFields | undefined => {
  const read = SignalJobSchema.safeParse(job, { reportInput: true });
  if (!read.success) {
    return NewerJobSchema.safeParse(job).success ? undefined : toInvalidFields(read.error);
  }
  const { signal, encryptedToken } = read.data;
  const withToken = encryptedToken === undefined ? signal : { ...signal, token: TOKEN_PLACEHOLDER };
  // A type that was accepted once is accepted again. The audience affects only warnings.
  const parsed = parseSignal(withToken, { now, allowUnknownTypes: true, audience: '' });
  return parsed.kind === 'valid' ? undefined : parsed.invalidFields;
};
