import type { Audience } from './accessTokens.ts';
import type { FaultKind } from './faultSchema.ts';
import type { ArmedFault } from './faults.ts';
import type { SignalInput } from './graphql/schema.ts';
import { mask } from './log.ts';

/** A signal that SEEK said yes to. */
export type AcceptedSignal = {
  /** As SEEK understood it, unmasked. What travelled is in the request's `variables`. */
  input: SignalInput;
  requestId: string | undefined;
  /** Milliseconds since 1970. */
  receivedAt: number;
  audience: Audience;
  /** The fingerprint of the access token, never the token. */
  accessToken: string;
};

/** A GraphQL request, however it was answered. */
export type RecordedRequest = {
  requestId: string | undefined;
  receivedAt: number;
  /** `OK`, a GraphQL error code, or the name of the fault that answered without GraphQL. */
  outcome: string;
  /** The fault that struck before the request was looked at. */
  fault: FaultKind | undefined;
  signalCount: number;
  accessToken: string | undefined;
  /** Exactly as they travelled, unmasked. */
  variables: unknown;
};

export type History<T> = {
  add: (item: T) => void;
  /** What is still held, in order of arrival. */
  list: () => T[];
  /** How many were added since the last `clear`, forgotten ones included. */
  total: () => number;
  clear: () => void;
};

/** Holds the newest `keep` items, as a ring: adding stays cheap however many came before. */
export const createHistory = <T>(keep: number): History<T> => {
  let ring: T[] = [];
  let total = 0;

  return {
    add: (item) => {
      ring[total % keep] = item;
      total += 1;
    },

    list: () => {
      const oldest = total > keep ? total % keep : 0;

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
