import type { Lane, Pass } from '../circuitBreaker/circuitBreaker.ts';
import type { Batcher } from './batcher.ts';
import type { Dispatched, Isolate } from './bisectBatch.ts';
import type { Bind, Claimed } from './resolveToken.ts';
import { type Deferred, type Entry, QUEUE } from './sendAuthorised.ts';

/** Our code for a signal whose token we have no key to. */
export const TOKEN_KEY = 'TOKEN_KEY';

type Deps = {
  lane: Pick<Lane, 'admit' | 'leave'>;
  bind: Bind;
  batcher: Pick<Batcher, 'send'>;
  isolate: Isolate;
};

type InHand = Claimed & Pick<Entry, 'abort' | 'span'>;

/**
 * Tries to deliver one signal: binds it to the token that counts now, and sends it, in company where
 * there is some, alone if it is to be or is a probe.
 */
export const createDispatchSignal = ({ lane, bind, batcher, isolate }: Deps) => {
  const alone = async (entry: Entry, pass: Pass): Promise<Dispatched> => {
    let own: Dispatched = { kind: 'handedBack' };
    await isolate([entry], pass, (_, dispatched) => {
      own = dispatched;
    });
    return own;
  };

  const send = async (
    { abort, span, ...claimed }: InHand,
    pass: Pass,
    company: 'welcome' | 'none',
  ): Promise<Dispatched> => {
    const binding = await bind(claimed).catch(
      (): Deferred => ({
        ...{ kind: 'deferred', code: QUEUE, reason: 'The seek token cannot be looked up' },
      }),
    );
    switch (binding.kind) {
      case 'deferred':
        return binding;
      case 'sealed':
        return {
          kind: 'deferred',
          code: TOKEN_KEY,
          reason: 'none of our keys opens its seek token',
        };
      case 'skipped':
        return { kind: 'attempted', outcome: binding };
      case 'bound': {
        const entry = { signalId: claimed.signalId, signal: binding.signal, abort, span };
        const together = pass === 'open' && company === 'welcome';
        const dispatched = await (together ? batcher.send(entry) : alone(entry, pass));
        return dispatched.kind === 'attempted' && binding.bound !== undefined
          ? { ...dispatched, bound: binding.bound }
          : dispatched;
      }
    }
  };

  return async (inHand: InHand, company: 'welcome' | 'none' = 'welcome'): Promise<Dispatched> => {
    const pass = await lane.admit(inHand.abort).catch(() => undefined);
    if (pass === undefined) return { kind: 'handedBack' };
    try {
      return await send(inHand, pass, company);
    } finally {
      lane.leave(pass);
    }
  };
};

export type DispatchSignal = ReturnType<typeof createDispatchSignal>;
