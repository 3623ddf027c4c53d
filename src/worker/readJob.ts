import * as z from 'zod';

import { toInvalidFields } from '../schemas/invalidFields.ts';
import { readPlainJob } from '../schemas/readPlainJob.ts';
import {
  SIGNAL_JOB_VERSION,
  type SignalJob,
  SignalJobSchema,
  UNREADABLE,
} from '../schemas/signalJob.ts';

/** Jobs outlive deployments: an older, this, or a newer version may have written them. */
export type ReadJob =
  | { kind: 'signal'; signalJob: SignalJob }
  | { kind: 'newer'; version: number; failure: string }
  | { kind: 'unreadable'; failure: string };

const NewerSchema = z.looseObject({ version: z.int().gt(SIGNAL_JOB_VERSION) });

/** `failure` names fields, but never repeats a value: it can be a token. */
export const readJob = (data: unknown): ReadJob => {
  const plain = readPlainJob(data);
  if (plain !== undefined) return { kind: 'signal', signalJob: plain };
  const parsed = SignalJobSchema.safeParse(data, { reportInput: true });
  if (parsed.success) return { kind: 'signal', signalJob: parsed.data };
  const newer = NewerSchema.safeParse(data).data;
  if (newer !== undefined) {
    const failure = `${UNREADABLE}: /version: written by a newer version of the dispatcher (${newer.version})`;
    return { kind: 'newer', version: newer.version, failure };
  }
  const problems = Object.entries(toInvalidFields(parsed.error)).map(
    ([pointer, message]) => `${pointer || '/'}: ${message}`,
  );
  return { kind: 'unreadable', failure: `${UNREADABLE}: ${problems.join('; ')}` };
};
