import type { Redis } from 'ioredis';
import { groupIds, MOST_OF_A_TRAIT, nameOf, type SignalIndex } from '../searchIndex.ts';
import { defineScript, runPipeline } from './commands.ts';

type Options = {
  client: Redis;
  prefix: string;
  keepTraitsMs: number;
  keepRequestsMs: number;
  now?: () => number;
};

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
  const indexRequests = defineScript(client, 'indexRequests');

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
      await indexRequests(generations, [most, keepRequestsMs, ...values]);
    },
    findRequest: async (requestId) => {
      const found = await Promise.all(generations.map((key) => client.hget(key, requestId)));
      return found.flatMap((ids) => ids?.split(' ') ?? []);
    },
  };
};
