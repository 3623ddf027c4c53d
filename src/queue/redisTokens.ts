import type { Redis } from 'ioredis';

import { scanNames } from './scanNames.ts';
import type { TokenStore } from './tokenStore.ts';

const REPLACE = `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
if ARGV[3] ~= '' then redis.call('PEXPIREAT', KEYS[1], ARGV[3]) end
if ARGV[4] == '' then
  redis.call('ZREM', KEYS[2], ARGV[5])
else
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[5])
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[6])
return 1`;

const CLAIM = `
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
return false`;

const DISOWN = `
local others = {}
for index, key in ipairs(KEYS) do
  local owner = redis.call('GET', key)
  if owner == ARGV[1] then
    redis.call('DEL', key)
  elseif owner then
    table.insert(others, index)
  end
end
return others`;

/** Seek tokens in Redis, under `PREFIX:tokens:…`. */
export const createRedisTokens = (client: Redis, prefix: string): TokenStore => {
  const keyOf = (applicationId: string) => `${prefix}:tokens:of:${applicationId}`;
  const ownerOf = (fingerprint: string) => `${prefix}:tokens:owner:${fingerprint}`;
  const byAge = `${prefix}:tokens:by-age`;

  return {
    read: async (applicationId) => (await client.get(keyOf(applicationId))) ?? undefined,
    replace: async (
      applicationId,
      before = '',
      { text, receivedAt = '', until = '', forgotten },
    ) => {
      const keys = [keyOf(applicationId), byAge];
      const values = [before, text, until, receivedAt, applicationId, forgotten];
      return (await client.eval(REPLACE, keys.length, ...keys, ...values)) === 1;
    },
    claim: async (fingerprint, applicationId, until) => {
      const owner = await client.eval(CLAIM, 1, ownerOf(fingerprint), applicationId, until);
      return typeof owner === 'string' ? owner : undefined;
    },
    disown: async (fingerprints, applicationId) => {
      const keys = fingerprints.map(ownerOf);
      const others = await client.eval(DISOWN, keys.length, ...keys, applicationId);
      const numbers = new Set(Array.isArray(others) ? others.map(Number) : []);
      return fingerprints.filter((_, index) => numbers.has(index + 1));
    },
    applications: async function* () {
      for await (const applicationIds of scanNames(client, keyOf(''))) yield* applicationIds;
    },
    countReceivedBetween: (from, to) => client.zcount(byAge, `(${from}`, to),
    receivedBetween: (from, to, limit) =>
      client.zrangebyscore(byAge, `(${from}`, to, 'LIMIT', 0, limit),
  };
};
