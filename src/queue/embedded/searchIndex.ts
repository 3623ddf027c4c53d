import { groupIds, MOST_OF_A_TRAIT, nameOf, type SignalIndex } from '../searchIndex.ts';
import type { KeyValueStore } from './keyValueStore.ts';

type Deps = {
  store: KeyValueStore;
  keepTraitsMs: number;
  keepRequestsMs: number;
  now?: () => number;
};

/** Finds signals by search key, and by the requests that sent them. */
export const createSearchIndex = ({
  store,
  keepTraitsMs,
  keepRequestsMs,
  now = Date.now,
}: Deps): SignalIndex => {
  const entriesOf = (signalIds: readonly string[], keepMs: number) =>
    signalIds.map(
      (key) => ({ key, value: true, score: now(), expiresAt: now() + keepMs }) as const,
    );

  return {
    note: async (entries) => {
      for (const [name, signalIds] of groupIds(entries)) {
        await store.put(`search:${name}`, entriesOf(signalIds, keepTraitsMs));
      }
    },
    find: async (searchKey) => {
      const newest = { limit: MOST_OF_A_TRAIT, order: 'DESC' } as const;
      return (await store.list(`search:${nameOf(searchKey)}`, newest)).map(({ key }) => key);
    },
    forget: (searchKey) => store.deleteSpace(`search:${nameOf(searchKey)}`),

    // Only time bounds them: one developer sends few signals.
    noteRequests: async (requests) => {
      for (const { requestId, signalIds } of requests) {
        await store.putIfAbsent(`request:${requestId}`, entriesOf(signalIds, keepRequestsMs));
      }
    },
    findRequest: async (requestId) =>
      (await store.list(`request:${requestId}`)).map(({ key }) => key),
  };
};
