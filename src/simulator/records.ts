import type { Audience } from './accessTokens.ts';
import type { FaultKind } from './faultSchema.ts';
import type { ArmedFault } from './faults.ts';
import type { SignalInput } from './graphql/schema.ts';
import { mask } from './log.ts';

/** A signal that the simulator accepted. */
export type AcceptedSignal = {
  /** The signal after coercion, unmasked. The request's `variables` hold it as it was sent. */
  input: SignalInput;
  requestId: string | undefined;
  /** Milliseconds since 1970. */
  receivedAt: number;
  audience: Audience;
  /** The fingerprint of the access token, never the token. */
  accessToken: string;
};

/** A GraphQL request with its outcome, whether accepted or not. */
export type RecordedRequest = {
  requestId: string | undefined;
  receivedAt: number;
  /** `OK`, a GraphQL error code, or the kind of the fault for a response without GraphQL. */
  outcome: string;
  /** The fault that was applied before the request was executed. */
  fault: FaultKind | undefined;
  signalCount: number;
  accessToken: string | undefined;
  /** Exactly as they were sent, unmasked. */
  variables: unknown;
};

export type RingBuffer<T> = {
  add: (item: T) => void;
  /** The stored items, oldest first. */
  list: () => T[];
  /** How many items were added since the last `clear`, including those that are no longer stored. */
  total: () => number;
  clear: () => void;
};

/** Stores the newest `capacity` items. Adding an item takes constant time. */
export const createRingBuffer = <T>(capacity: number): RingBuffer<T> => {
  let ring: T[] = [];
  let total = 0;

  return {
    add: (item) => {
      ring[total % capacity] = item;
      total += 1;
    },

    list: () => {
      const oldest = total > capacity ? total % capacity : 0;

      return [...ring.slice(oldest), ...ring.slice(0, oldest)];
    },

    total: () => total,

    clear: () => {
      ring = [];
      total = 0;
    },
  };
};

const iso = (ms: number) => new Date(ms).toISOString();

/** An accepted signal without its seek token, safe to show. */
export const viewSignal = ({ input, receivedAt, ...rest }: AcceptedSignal) => ({
  ...rest,
  receivedAt: iso(receivedAt),
  input: { ...input, ...(input.token != null && { token: mask(input.token) }) },
});

/** A request without its variables: they are not validated, so a token may be anywhere in them. */
export const viewRequest = ({ variables: _, receivedAt, ...rest }: RecordedRequest) => ({
  ...rest,
  receivedAt: iso(receivedAt),
});

/** An active fault, safe to show: `contains` is masked, because it may hold a whole seek token. */
export const viewFault = ({ id, timesApplied, fault }: ArmedFault) => ({
  id,
  struck: timesApplied,
  ...fault,
  ...('contains' in fault && fault.contains && { contains: mask(fault.contains) }),
});
