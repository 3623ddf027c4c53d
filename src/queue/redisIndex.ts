import type { Redis } from 'ioredis';

import { createScript } from './redisScript.ts';
import { runPipeline } from './runPipeline.ts';
import { groupIds, MOST_OF_A_TRAIT, nameOf, type SignalIndex } from './signalIndex.ts';

type Options = {
  client: Redis;
  prefix: string;
  keepTraitsMs: number;
  keepRequestsMs: number;
  now?: () => number;
};

// There are two generations: when the present one is full, it becomes the one before, and that goes. How many
// signals it holds stands in the field 'signals', which is no request's name.
// KEYS: the present one, the one before. ARGV: how many signals are full, how long they are kept in ms; for
// each request its id, its signals, and how many these are.
const NOTE_REQUESTS = `
local signals = 0
for n = 3, #ARGV, 3 do
  redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 1])
  signals = redis.call('HINCRBY', KEYS[1], 'signals', ARGV[n + 2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if signals >= tonumber(ARGV[1]) then redis.call('RENAME', KEYS[1], KEYS[2]) end`;

/** In Redis, under `PREFIX:index:…`: ids by when they were noted, and by request. */
export const createRedisIndex = ({
  client,
  prefix,
  keepTraitsMs,
  keepRequestsMs,
  now = Date.now,
}: Options): SignalIndex => {
  const keyOf = (name: string): string => `${prefix}:index:${name}`;
  const generations = [keyOf('requests'), keyOf('requests-before')];
  const noteRequests = createScript(client, NOTE_REQUESTS);

  return {
    note: async (entries) => {
      if (entries.length === 0) return;
      const pipeline = client.pipeline();
      for (const [name, signalIds] of groupIds(entries)) {
        const key = keyOf(name);
        pipeline.zadd(key, ...signalIds.flatMap((signalId) => [now(), signalId]));
        pipeline.zremrangebyrank(key, 0, -MOST_OF_A_TRAIT - 1);
        pipeline.pexpire(key, keepTraitsMs);
      }
      await runPipeline(pipeline);
    },
    find: (trait) => client.zrevrange(keyOf(nameOf(trait)), 0, -1),
    forget: async (trait) => {
      await client.del(keyOf(nameOf(trait)));
    },

    noteRequests: async (requests, most) => {
      if (requests.length === 0) return;
      const values = requests.flatMap(({ requestId, signalIds }) => [
        ...[requestId, signalIds.join(' '), signalIds.length],
      ]);
      await noteRequests(generations, [most, keepRequestsMs, ...values]);
    },
    findRequest: async (requestId) => {
      const found = await Promise.all(generations.map((key) => client.hget(key, requestId)));
      return found.flatMap((ids) => ids?.split(' ') ?? []);
    },
  };
};
