import type { FindSignals } from '../queue/lookup.ts';
import type { SignalRecord } from '../schemas/signalRecord.ts';
import { signalIdOfKey } from './signalId.ts';

/** One of these, and nothing else, says what is looked for. */
export type Criterion =
  | { requestId: string }
  | { applicationId: string }
  | { positionProfileId: string }
  /** `from`: the name of the API key, or of the application, that it was sent with. */
  | { idempotencyKey: string; from: string };

type Deps = {
  find: (signalId: string) => Promise<SignalRecord | undefined>;
  findSignals: FindSignals;
};

/** Finds signals by what a person has at hand; the one that was accepted last comes first. */
export const createSearch =
  ({ find, findSignals: { byTrait, byRequest } }: Deps) =>
  async (by: Criterion, limit: number): Promise<SignalRecord[]> => {
    if ('requestId' in by) return byRequest(by.requestId, limit);
    if ('applicationId' in by) {
      return byTrait({ kind: 'application', value: by.applicationId }, limit);
    }
    if ('positionProfileId' in by) {
      return byTrait({ kind: 'position', value: by.positionProfileId }, limit);
    }
    const life = await find(signalIdOfKey({ scope: by.from, key: by.idempotencyKey }));
    return life === undefined ? [] : [life];
  };

export type Search = ReturnType<typeof createSearch>;
