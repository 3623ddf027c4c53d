import type { Redis } from 'ioredis';

import { DEAD_LETTERS, SIGNALS } from './backend.ts';
import {
  ANSWER,
  type History,
  KEEP_MOMENTS_MS,
  KEEP_SILENT_MS,
  momentOf,
  momentsSince,
  toMoment,
} from './history.ts';
import { createScript } from './redisScript.ts';

// All by the clock of Redis, but for which moment it is: a few minutes of error move a line on a chart.
// KEYS: the workers, the moment, then the lists that count as waiting, retrying and dead. ARGV: the worker, how
// long a silent one is kept, how long the moment is, how many lists there are of each kind; then answers and how many.
const BEAT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- First: a Redis without memory lets a script finish whose first write frees some.
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
local key = 2
for kind, name in ipairs({ 'waiting', 'retrying', 'dead' }) do
  local sum = 0
  for _ = 1, tonumber(ARGV[3 + kind]) do
    key = key + 1
    local length = redis.call('TYPE', KEYS[key]).ok == 'list' and 'LLEN' or 'ZCARD'
    sum = sum + redis.call(length, KEYS[key])
  end
  if sum >= (tonumber(redis.call('HGET', KEYS[2], name) or 0) or 0) then
    redis.call('HSET', KEYS[2], name, sum)
  end
end
for n = 7, #ARGV, 2 do redis.call('HINCRBY', KEYS[2], ARGV[n], ARGV[n + 1]) end
redis.call('PEXPIRE', KEYS[2], ARGV[3])`;

const READ = `
local time = redis.call('TIME')
return { time[1] * 1000 + math.floor(time[2] / 1000), redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES') }`;

type Options = { client: Redis; prefix: string; now?: () => number };

/** In Redis, under `PREFIX:history:…`: a hash for each moment, and the workers by when they were heard of. */
export const createRedisHistory = ({ client, prefix, now = Date.now }: Options): History => {
  const keyOf = (name: string | number): string => `${prefix}:history:${name}`;
  const listsOf = (queue: string, ...lists: string[]) =>
    lists.map((list) => `${prefix}:${queue}:${list}`);
  const counted = [
    listsOf(SIGNALS, 'wait', 'paused', 'prioritized'),
    listsOf(SIGNALS, 'delayed'),
    [
      ...listsOf(SIGNALS, 'failed'),
      ...listsOf(DEAD_LETTERS, 'wait', 'active', 'delayed', 'failed'),
    ],
  ];
  const workers = keyOf('workers');
  const beat = createScript(client, BEAT);
  const readWorkers = createScript(client, READ);

  return {
    beat: async ({ worker, answers }) => {
      const counts = Object.entries(answers).flatMap(([name, count]) => [
        `${ANSWER}${name}`,
        count,
      ]);
      const lengths = counted.map(({ length }) => length);
      await beat(
        [workers, keyOf(momentOf(now())), ...counted.flat()],
        [worker, KEEP_SILENT_MS, KEEP_MOMENTS_MS, ...lengths, ...counts],
      );
    },
    leave: async (worker) => {
      await client.zrem(workers, worker);
    },
    read: async (sinceMs) => {
      const times = momentsSince(sinceMs, now());
      const [heard, stored] = await Promise.all([
        readWorkers([workers], []),
        Promise.all(times.map((at) => client.hgetall(keyOf(at)))),
      ]);
      const [time, listed] = Array.isArray(heard) ? heard : [];
      return {
        now: Number(time),
        workers: toWorkers(Array.isArray(listed) ? listed : []),
        moments: times.flatMap((at, index) => {
          const counts = stored[index] ?? {};
          return Object.keys(counts).length === 0 ? [] : [toMoment(at, counts)];
        }),
      };
    },
  };
};

const toWorkers = (listed: unknown[]) =>
  listed.flatMap((worker, index) =>
    index % 2 === 0 ? [{ worker: String(worker), at: Number(listed[index + 1]) }] : [],
  );
