import type { Redis } from 'ioredis';
import type { TokenStore } from '../backend.ts';
import { defineScript, scanNames } from './commands.ts';

/** Under `PREFIX:tokens:…`: a text per application, an owner per token, and the applications by age. */
export const createRedisTokens = (client: Redis, prefix: string): TokenStore => {
  const keyOf = (applicationId: string) => `${prefix}:tokens:of:${applicationId}`;
  const ownerOf = (fingerprint: string) => `${prefix}:tokens:owner:${fingerprint}`;
  const byAge = `${prefix}:tokens:by-age`;
  const replaceTokens = defineScript(client, 'replaceTokens');
  const takeOwnership = defineScript(client, 'takeTokenOwnership');
  const releaseOwnership = defineScript(client, 'releaseTokenOwnership');

  return {
    read: async (applicationId) => (await client.get(keyOf(applicationId))) ?? undefined,
    replace: async (
      applicationId,
      before = '',
      { text, receivedAt = '', until = '', unlistBefore },
    ) => {
      const keys = [keyOf(applicationId), byAge];
      const values = [before, text, until, receivedAt, applicationId, unlistBefore];
      return (await replaceTokens(keys, values)) === 1;
    },
    takeOwnership: async (fingerprint, applicationId, until) => {
      const owner = await takeOwnership([ownerOf(fingerprint)], [applicationId, until]);
      return typeof owner === 'string' ? owner : undefined;
    },
    releaseOwnership: async (fingerprints, applicationId) => {
      const keys = fingerprints.map(ownerOf);
      const others = await releaseOwnership(keys, [applicationId]);
      const positions = new Set(Array.isArray(others) ? others.map(Number) : []);
      return fingerprints.filter((_, index) => positions.has(index + 1));
    },
    applications: async function* () {
      for await (const applicationIds of scanNames(client, keyOf(''))) yield* applicationIds;
    },
    countReceivedBetween: (from, to) => client.zcount(byAge, `(${from}`, to),
    receivedBetween: (from, to, limit) =>
      client.zrangebyscore(byAge, `(${from}`, to, 'LIMIT', 0, limit),
  };
};
