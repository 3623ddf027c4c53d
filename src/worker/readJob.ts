import * as z from 'zod';

import { toInvalidFields } from '../schemas/invalidFields.ts';
import { type SignalJob, SignalJobSchema, UNREADABLE, versionOf } from '../schemas/signalJob.ts';

/** What lies in the queue outlives deploys: written by an older version, by this one, or by a newer. */
export type ReadJob =
  | { kind: 'signal'; signalJob: SignalJob }
  | { kind: 'newer'; version: number; failure: string }
  | { kind: 'unreadable'; failure: string };

// What we write ourselves beyond the first version is known by what it holds.
const NewerSchema = z.looseObject({ version: z.int().min(2) });

export const readJob = (data: unknown): ReadJob => {
  const parsed = SignalJobSchema.safeParse(data, { reportInput: true });
  if (parsed.success && parsed.data.version <= versionOf(parsed.data)) {
    return { kind: 'signal', signalJob: parsed.data };
  }
  const newer = NewerSchema.safeParse(data).data;
  if (newer !== undefined) {
    const failure = `${UNREADABLE}: /version: written by a newer version of the dispatcher (${newer.version})`;
    return { kind: 'newer', version: newer.version, failure };
  }
  const problems = Object.entries(parsed.error ? toInvalidFields(parsed.error) : {}).map(
    ([pointer, message]) => `${pointer || '/'}: ${message}`,
  );
  return { kind: 'unreadable', failure: `${UNREADABLE}: ${problems.join('; ')}` };
};
