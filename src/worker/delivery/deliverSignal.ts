import type { CircuitBreaker, Permit } from '../circuitBreaker/circuitBreaker.ts';
import type { Batcher } from './batcher.ts';
import type { BisectBatch, DeliveryResult } from './bisectBatch.ts';
import type { ResolveIdentifiers, UnresolvedSignal } from './resolveIdentifiers.ts';
import { type Deferred, type Entry, QUEUE } from './sendAuthorised.ts';

/** Our code for a signal whose seek token no configured key decrypts. */
export const TOKEN_KEY = 'TOKEN_KEY';

type Deps = {
  breaker: Pick<CircuitBreaker, 'acquire' | 'release'>;
  resolveIdentifiers: ResolveIdentifiers;
  batcher: Pick<Batcher, 'send'>;
  bisectBatch: BisectBatch;
};

type InFlightSignal = UnresolvedSignal & Pick<Entry, 'abort' | 'span'>;

/**
 * Tries to deliver one signal: resolves its identifiers as of now, and sends it. It goes through the
 * batcher, except as a probe and where batching is not allowed.
 */
export const createDeliverSignal = ({
  breaker,
  resolveIdentifiers,
  batcher,
  bisectBatch,
}: Deps) => {
  const sendAlone = async (entry: Entry, permit: Permit): Promise<DeliveryResult> => {
    let result: DeliveryResult = { kind: 'released' };
    await bisectBatch([entry], permit, (_, delivery) => {
      result = delivery;
    });
    return result;
  };

  const send = async (
    { abort, span, ...unresolved }: InFlightSignal,
    permit: Permit,
    batching: 'allowed' | 'never',
  ): Promise<DeliveryResult> => {
    const resolution = await resolveIdentifiers(unresolved).catch(() => LOOKUP_FAILED);
    switch (resolution.kind) {
      case 'deferred':
        return resolution;
      case 'undecryptable':
        return UNDECRYPTABLE;
      case 'skipped':
        return { kind: 'attempted', outcome: resolution };
      case 'resolved': {
        const { signal, tokenUsed } = resolution;
        const entry = { signalId: unresolved.signalId, signal, abort, span };
        const isBatched = permit === 'normal' && batching === 'allowed';
        const delivery = await (isBatched ? batcher.send(entry) : sendAlone(entry, permit));
        return delivery.kind === 'attempted' && tokenUsed !== undefined
          ? { ...delivery, tokenUsed }
          : delivery;
      }
    }
  };

  return async (
    inFlight: InFlightSignal,
    batching: 'allowed' | 'never' = 'allowed',
  ): Promise<DeliveryResult> => {
    const permit = await breaker.acquire(inFlight.abort).catch(() => undefined);
    if (permit === undefined) return { kind: 'released' };
    try {
      return await send(inFlight, permit, batching);
    } finally {
      breaker.release(permit);
    }
  };
};

const LOOKUP_FAILED: Deferred = {
  kind: 'deferred',
  code: QUEUE,
  reason: 'Failed to look up the identifiers of the signal',
};
const UNDECRYPTABLE: Deferred = {
  kind: 'deferred',
  code: TOKEN_KEY,
  reason: 'No key in TOKEN_ENCRYPTION_KEYS decrypts the seek token',
};

export type DeliverSignal = ReturnType<typeof createDeliverSignal>;
