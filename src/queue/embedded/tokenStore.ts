import type { TokenStore } from '../backend.ts';
import type { KeyValueStore } from './keyValueStore.ts';

/** Seek tokens by application, and which application each token belongs to. */
export const createTokenStore = (store: KeyValueStore): TokenStore => ({
  read: async (applicationId) => (await store.find('seekTokens', applicationId))?.value,

  replace: (applicationId, before, { text, receivedAt, until }) =>
    store.transaction(async (tx) => {
      const stored = await tx.find('seekTokens', applicationId);
      if (stored?.value !== before) return false;
      const expiresAt = until ?? stored?.expiresAt;
      await tx.put('seekTokens', [
        { key: applicationId, value: text, score: receivedAt, expiresAt },
      ]);
      return true;
    }),

  takeOwnership: (fingerprint, applicationId, until) =>
    store.transaction(async (tx) => {
      const stored = await tx.find('tokenOwners', fingerprint);
      const owner = stored?.value ?? applicationId;
      const expiresAt = Math.max(until, stored?.expiresAt ?? 0);
      await tx.put('tokenOwners', [{ key: fingerprint, value: owner, expiresAt }]);
      return owner === applicationId ? undefined : owner;
    }),

  releaseOwnership: (fingerprints, applicationId) =>
    store.transaction(async (tx) => {
      const owners = await tx.get('tokenOwners', fingerprints);
      const isOurs = (fingerprint: string) => owners.get(fingerprint)?.value === applicationId;
      await tx.delete('tokenOwners', fingerprints.filter(isOurs));
      return [...owners.keys()].filter((fingerprint) => !isOurs(fingerprint));
    }),

  applications: async function* () {
    for (const { key } of await store.list('seekTokens')) yield key;
  },

  countReceivedBetween: async (above, upTo) =>
    (await store.list('seekTokens', { above, upTo })).length,

  receivedBetween: async (above, upTo, limit) =>
    (await store.list('seekTokens', { above, upTo, limit })).map(({ key }) => key),
});
