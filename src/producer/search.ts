import type { FindSignals } from '../queue/lookup.ts';
import type { SignalRecord } from '../schemas/signalRecord.ts';
import { signalIdOfKey } from './signalId.ts';

/** What to search by: exactly one of these. */
export type Criterion =
  | { requestId: string }
  | { applicationId: string }
  | { positionProfileId: string }
  /** `from` is the name of the API key, or of the producer, that sent the signal. */
  | { idempotencyKey: string; from: string };

type Deps = {
  find: (signalId: string) => Promise<SignalRecord | undefined>;
  findSignals: FindSignals;
};

/** Finds signals by one criterion, most recently accepted first. */
export const createSearch =
  ({ find, findSignals: { byKey, byRequest } }: Deps) =>
  async (by: Criterion, limit: number): Promise<SignalRecord[]> => {
    if ('requestId' in by) return byRequest(by.requestId, limit);
    if ('applicationId' in by) {
      return byKey({ kind: 'application', value: by.applicationId }, limit);
    }
    if ('positionProfileId' in by) {
      return byKey({ kind: 'position', value: by.positionProfileId }, limit);
    }
    const record = await find(signalIdOfKey({ scope: by.from, key: by.idempotencyKey }));
    return record === undefined ? [] : [record];
  };

export type Search = ReturnType<typeof createSearch>;
