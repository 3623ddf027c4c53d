import type { Redis } from 'ioredis';
import { groupByKey, keyNameOf, MAX_PER_SEARCH_KEY, type SearchIndex } from '../searchIndex.ts';
import { defineScript, runPipeline } from './commands.ts';

type Options = {
  client: Redis;
  prefix: string;
  keepKeysMs: number;
  keepRequestsMs: number;
  now?: () => number;
};

/** Under `PREFIX:index:…`: a sorted set of signal ids per search key, and two generations of requests. */
export const createRedisIndex = ({
  client,
  prefix,
  keepKeysMs,
  keepRequestsMs,
  now = Date.now,
}: Options): SearchIndex => {
  const keyOf = (name: string): string => `${prefix}:index:${name}`;
  const generations = [keyOf('requests'), keyOf('requests-before')];
  const indexRequests = defineScript(client, 'indexRequests');

  return {
    indexSignals: async (entries) => {
      if (entries.length === 0) return;
      const pipeline = client.pipeline();
      for (const [name, signalIds] of groupByKey(entries)) {
        const key = keyOf(name);
        pipeline.zadd(key, ...signalIds.flatMap((signalId) => [now(), signalId]));
        pipeline.zremrangebyrank(key, 0, -MAX_PER_SEARCH_KEY - 1);
        pipeline.pexpire(key, keepKeysMs);
      }
      await runPipeline(pipeline);
    },
    find: (searchKey) => client.zrevrange(keyOf(keyNameOf(searchKey)), 0, -1),
    removeKey: async (searchKey) => {
      await client.del(keyOf(keyNameOf(searchKey)));
    },

    indexRequests: async (requests, minKept) => {
      if (requests.length === 0) return;
      const values = requests.flatMap(({ requestId, signalIds }) => [
        requestId,
        signalIds.join(' '),
        signalIds.length,
      ]);
      await indexRequests(generations, [minKept, keepRequestsMs, ...values]);
    },
    findByRequest: async (requestId) => {
      const found = await Promise.all(generations.map((key) => client.hget(key, requestId)));
      return found.flatMap((ids) => ids?.split(' ') ?? []);
    },
  };
};
