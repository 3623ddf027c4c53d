import type { Audience } from './accessTokens.ts';
import type { FaultKind } from './faultSchema.ts';
import type { SignalInput } from './schema.ts';

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
