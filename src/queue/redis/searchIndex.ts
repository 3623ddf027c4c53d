import type { Redis } from 'ioredis';
import { groupByKey, keyNameOf, MAX_PER_SEARCH_KEY, type SearchIndex } from '../searchIndex.ts';
import { defineScript } from './commands.ts';

type Options = {
  client: Redis;
  prefix: string;
  keepKeysMs: number;
  keepRequestsMs: number;
  now?: () => number;
};

// A batch can name 20,000 positions. Redis serves no other client while a script runs.
const MAX_KEYS_PER_SCRIPT = 200;

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
  const indexSignals = defineScript(client, 'indexSignals');
  const indexRequests = defineScript(client, 'indexRequests');

  return {
    indexSignals: async (entries) => {
      const groups = [...groupByKey(entries)];
      const pages: Promise<unknown>[] = [];
      for (let at = 0; at < groups.length; at += MAX_KEYS_PER_SCRIPT) {
        const page = groups.slice(at, at + MAX_KEYS_PER_SCRIPT);
        const ids = page.flatMap(([, signalIds]) => [signalIds.length, ...signalIds]);
        pages.push(
          indexSignals(
            page.map(([name]) => keyOf(name)),
            [now(), MAX_PER_SEARCH_KEY, keepKeysMs, ...ids],
          ),
        );
      }
      await Promise.all(pages);
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
