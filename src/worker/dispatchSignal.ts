import type { Batcher } from './batcher.ts';
import type { Entry } from './exchange.ts';
import type { Dispatched, Isolate } from './isolate.ts';
import type { Lane } from './lane.ts';

type Deps = {
  lane: Pick<Lane, 'admit' | 'leave'>;
  batcher: Pick<Batcher, 'send'>;
  isolate: Isolate;
};

/** Tries to deliver one signal: in company where there is some, alone if it is to be or is a probe. */
export const createDispatchSignal = ({ lane, batcher, isolate }: Deps) => {
  const alone = async (entry: Entry, pass: 'open' | 'probe'): Promise<Dispatched> => {
    let own: Dispatched = { kind: 'handedBack' };
    await isolate([entry], pass, (_, dispatched) => {
      own = dispatched;
    });
    return own;
  };

  return async (entry: Entry, company: 'welcome' | 'none' = 'welcome'): Promise<Dispatched> => {
    const pass = await lane.admit(entry.abort).catch(() => undefined);
    if (pass === undefined) return { kind: 'handedBack' };
    if (pass === 'open' && company === 'welcome') return batcher.send(entry);
    try {
      return await alone(entry, pass);
    } finally {
      lane.leave(pass);
    }
  };
};

export type DispatchSignal = ReturnType<typeof createDispatchSignal>;
