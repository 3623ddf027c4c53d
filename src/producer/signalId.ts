import { parse as parseUuid, v5 as uuidV5 } from 'uuid';

import { toUtc } from '../schemas/dateTime.ts';
import type { Signal } from '../schemas/signal.ts';

// Fixed for ever: a change would make every signal look new. test/vectors/signalIds.json holds both.
const CONTENT_NAMESPACE = parseUuid('5dd4a72f-6f0c-5c43-9d4e-0c6a3c3f0b51');
const KEY_NAMESPACE = parseUuid('0b8f7c52-3a64-5c1d-8a3b-7d1f52c9e6a4');

/**
 * The signal written one way only: keys sorted at every depth, no white space, each timestamp as one
 * instant in UTC. Parsing has already put `positionProfileIds` into a list.
 */
export const canonical = (signal: Signal): string =>
  // Spelled out, for it is made of every signal; what is absent is not written.
  JSON.stringify({
    applicationId: signal.applicationId,
    candidateApplicationProfileId: signal.candidateApplicationProfileId,
    current: inOrder(signal.current),
    positionProfileIds: signal.positionProfileIds,
    previous: inOrder(signal.previous),
    timestamp: signal.timestamp && toUtc(signal.timestamp),
    token: signal.token,
    typeCode: signal.typeCode,
  } satisfies Whole<Signal>);

type State = NonNullable<Signal['current']>;
type Rank = State['status'];
// A field that is added must not be forgotten here.
type Whole<Fields> = { [field in keyof Fields]-?: unknown };

const inOrder = (state: State | undefined) =>
  state &&
  ({
    phase: rankInOrder(state.phase),
    status: rankInOrder(state.status),
    success: state.success,
    timestamp: toUtc(state.timestamp),
  } satisfies Whole<State>);

const rankInOrder = (rank: Rank | undefined) =>
  rank && ({ index: rank.index, label: rank.label, total: rank.total } satisfies Whole<Rank>);

// uuid reads bytes much faster than text.
const uuidOf = (text: string, namespace: Uint8Array): string =>
  uuidV5(Buffer.from(text, 'utf8'), namespace);

export type Identity = {
  /** What the signal is called everywhere. */
  signalId: string;
  /** The same for the same content; differs from `signalId` only under an Idempotency-Key. */
  contentId: string;
};

export type IdempotencyKey = {
  /** Whose key it is: the name of an API key, or of an application. */
  scope: string;
  key: string;
};

/** The same signal, or the same Idempotency-Key in its scope, always gets the same `signalId`. */
export const identify = (signal: Signal, idempotency?: IdempotencyKey): Identity => {
  const contentId = uuidOf(canonical(signal), CONTENT_NAMESPACE);
  if (idempotency === undefined) return { signalId: contentId, contentId };
  return { signalId: signalIdOfKey(idempotency), contentId };
};

export const signalIdOfKey = ({ scope, key }: IdempotencyKey): string =>
  uuidOf(JSON.stringify([scope, key]), KEY_NAMESPACE);
