import { groupByKey, keyNameOf, MAX_PER_SEARCH_KEY, type SearchIndex } from '../searchIndex.ts';
import type { KeyValueStore } from './keyValueStore.ts';

type Deps = {
  store: KeyValueStore;
  keepKeysMs: number;
  keepRequestsMs: number;
  now?: () => number;
};

/** Finds signals by search key, and by the requests that sent them. */
export const createSearchIndex = ({
  store,
  keepKeysMs,
  keepRequestsMs,
  now = Date.now,
}: Deps): SearchIndex => {
  const entriesOf = (signalIds: readonly string[], keepMs: number) =>
    signalIds.map(
      (key) => ({ key, value: true, score: now(), expiresAt: now() + keepMs }) as const,
    );

  return {
    note: async (entries) => {
      for (const [name, signalIds] of groupByKey(entries)) {
        await store.put(`search:${name}`, entriesOf(signalIds, keepKeysMs));
      }
    },
    find: async (searchKey) => {
      const newest = { limit: MAX_PER_SEARCH_KEY, order: 'DESC' } as const;
      return (await store.list(`search:${keyNameOf(searchKey)}`, newest)).map(({ key }) => key);
    },
    forget: (searchKey) => store.deleteSpace(`search:${keyNameOf(searchKey)}`),

    // Only time bounds them: one developer sends few signals.
    indexRequests: async (requests) => {
      for (const { requestId, signalIds } of requests) {
        await store.putIfAbsent(`request:${requestId}`, entriesOf(signalIds, keepRequestsMs));
      }
    },
    findRequest: async (requestId) =>
      (await store.list(`request:${requestId}`)).map(({ key }) => key),
  };
};
