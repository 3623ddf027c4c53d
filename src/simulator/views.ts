import type { ArmedFault } from './faults.ts';
import { mask } from './mask.ts';
import type { AcceptedSignal, RecordedRequest } from './records.ts';

const iso = (ms: number) => new Date(ms).toISOString();

/** An accepted signal as it may be shown: without its seek token. */
export const viewSignal = ({ input, receivedAt, ...rest }: AcceptedSignal) => ({
  ...rest,
  receivedAt: iso(receivedAt),
  input: { ...input, ...(input.token != null && { token: mask(input.token) }) },
});

/** Leaves out the variables: nobody has validated them, a token may be anywhere in them. */
export const viewRequest = ({ variables: _, receivedAt, ...rest }: RecordedRequest) => ({
  ...rest,
  receivedAt: iso(receivedAt),
});

/** `contains` may hold a whole seek token. */
export const viewFault = ({ id, struck, fault }: ArmedFault) => ({
  id,
  struck,
  ...fault,
  ...('contains' in fault && fault.contains && { contains: mask(fault.contains) }),
});
