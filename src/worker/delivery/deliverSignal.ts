import type { CircuitBreaker, Permit } from '../circuitBreaker/circuitBreaker.ts';
import type { Batcher } from './batcher.ts';
import type { BisectBatch, DeliveryResult } from './bisectBatch.ts';
import type { ResolveToken, UnresolvedSignal } from './resolveToken.ts';
import { type Deferred, type Entry, QUEUE } from './sendAuthorised.ts';

/** Our code for a signal whose token we have no key to. */
export const TOKEN_KEY = 'TOKEN_KEY';

type Deps = {
  breaker: Pick<CircuitBreaker, 'acquire' | 'release'>;
  resolveToken: ResolveToken;
  batcher: Pick<Batcher, 'send'>;
  bisectBatch: BisectBatch;
};

type InHand = UnresolvedSignal & Pick<Entry, 'abort' | 'span'>;

/**
 * Tries to deliver one signal: binds it to the token that counts now, and sends it, in company where
 * there is some, alone if it is to be or is a probe.
 */
export const createDeliverSignal = ({ breaker, resolveToken, batcher, bisectBatch }: Deps) => {
  const alone = async (entry: Entry, permit: Permit): Promise<DeliveryResult> => {
    let own: DeliveryResult = { kind: 'released' };
    await bisectBatch([entry], permit, (_, delivery) => {
      own = delivery;
    });
    return own;
  };

  const send = async (
    { abort, span, ...claimed }: InHand,
    permit: Permit,
    batching: 'allowed' | 'never',
  ): Promise<DeliveryResult> => {
    const binding = await resolveToken(claimed).catch(
      (): Deferred => ({
        ...{ kind: 'deferred', code: QUEUE, reason: 'The seek token cannot be looked up' },
      }),
    );
    switch (binding.kind) {
      case 'deferred':
        return binding;
      case 'undecryptable':
        return {
          kind: 'deferred',
          code: TOKEN_KEY,
          reason: 'none of our keys opens its seek token',
        };
      case 'skipped':
        return { kind: 'attempted', outcome: binding };
      case 'resolved': {
        const entry = { signalId: claimed.signalId, signal: binding.signal, abort, span };
        const together = permit === 'normal' && batching === 'allowed';
        const delivery = await (together ? batcher.send(entry) : alone(entry, permit));
        return delivery.kind === 'attempted' && binding.tokenUsed !== undefined
          ? { ...delivery, tokenUsed: binding.tokenUsed }
          : delivery;
      }
    }
  };

  return async (
    inFlight: InHand,
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

export type DeliverSignal = ReturnType<typeof createDeliverSignal>;
