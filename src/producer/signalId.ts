import { parse as parseUuid, v5 as uuidV5 } from 'uuid';

import { toUtc } from '../schemas/dateTime.ts';
import type { Signal } from '../schemas/signal.ts';

// Never change these: every signal would get another id, and duplicates would be delivered twice.
// test/vectors/signalIds.json publishes both.
const CONTENT_NAMESPACE = parseUuid('5dd4a72f-6f0c-5c43-9d4e-0c6a3c3f0b51');
const KEY_NAMESPACE = parseUuid('0b8f7c52-3a64-5c1d-8a3b-7d1f52c9e6a4');

/**
 * The canonical JSON of a parsed signal: keys sorted at every depth, no white space, timestamps in UTC.
 * `parseSignal` has already turned `positionProfileIds` into a list.
 */
export const canonical = (signal: Signal): string =>
  // Written out field by field, because a generic sort is slow. JSON.stringify omits absent fields.
  JSON.stringify({
    applicationId: signal.applicationId,
    candidateApplicationProfileId: signal.candidateApplicationProfileId,
    current: inOrder(signal.current),
    positionId: signal.positionId,
    positionProfileIds: signal.positionProfileIds,
    previous: inOrder(signal.previous),
    timestamp: signal.timestamp && toUtc(signal.timestamp),
    token: signal.token,
    typeCode: signal.typeCode,
  } satisfies AllFields<Signal>);

type State = NonNullable<Signal['current']>;
type Rank = State['status'];
// Makes a new field of the schema a compile error here.
type AllFields<Fields> = { [field in keyof Fields]-?: unknown };

const inOrder = (state: State | undefined) =>
  state &&
  ({
    phase: rankInOrder(state.phase),
    status: rankInOrder(state.status),
    success: state.success,
    timestamp: toUtc(state.timestamp),
  } satisfies AllFields<State>);

const rankInOrder = (rank: Rank | undefined) =>
  rank && ({ index: rank.index, label: rank.label, total: rank.total } satisfies AllFields<Rank>);

// The library uuid hashes bytes much faster than text.
const uuidOf = (text: string, namespace: Uint8Array): string =>
  uuidV5(Buffer.from(text, 'utf8'), namespace);

export type Identity = {
  /** The UUID of the signal, version 5. It is also the BullMQ job id. */
  signalId: string;
  /** The id of the content. Differs from `signalId` only if there is an idempotency key. */
  contentId: string;
};

export type IdempotencyKey = {
  /** The sender: the name of an API key, or of a producer. */
  scope: string;
  key: string;
};

/**
 * Deterministic: the same signal, or the same idempotency key in its scope, always gets the same
 * `signalId`.
 */
export const identify = (signal: Signal, idempotency?: IdempotencyKey): Identity => {
  const contentId = uuidOf(canonical(signal), CONTENT_NAMESPACE);
  if (idempotency === undefined) return { signalId: contentId, contentId };
  return { signalId: signalIdOfKey(idempotency), contentId };
};

export const signalIdOfKey = ({ scope, key }: IdempotencyKey): string =>
  uuidOf(JSON.stringify([scope, key]), KEY_NAMESPACE);
