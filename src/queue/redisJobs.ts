import type { Redis } from 'ioredis';

import type { JobStore, QueueName, Told } from './backend.ts';
import { REPLACE } from './jobData.ts';
import { memoryText, msLeft } from './memory.ts';
import { redisKeys } from './redisKeys.ts';
import { runPipeline } from './runPipeline.ts';
import { scanNames } from './scanNames.ts';

// What is said of a job goes with it, in one step. BullMQ's own data of a job without parent, children
// or deduplication are its hash and its logs.
const GOES = `
redis.call('DEL', KEYS[1], KEYS[2])
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
  if tonumber(ARGV[5]) > 0 then redis.call('SET', KEYS[4], ARGV[4], 'PX', ARGV[5]) end
end
return 1`;

const REMOVE_FINISHED = `
local finishedAt = redis.call('ZSCORE', KEYS[5], ARGV[1])
if not finishedAt or tonumber(finishedAt) ~= tonumber(ARGV[6]) then return 0 end
redis.call('ZREM', KEYS[5], ARGV[1])${GOES}`;

const REMOVE_WAITING = `
if redis.call('LREM', KEYS[5], 1, ARGV[1]) + redis.call('LREM', KEYS[6], 1, ARGV[1])
  + redis.call('ZREM', KEYS[7], ARGV[1]) == 0 then return 0 end${GOES}`;

type Options = { client: Redis; prefix: string; keepSkippedMs: number; now?: () => number };

/** As BullMQ keeps jobs: each in a hash under `PREFIX:QUEUE:ID`, and its id in the list of its state. */
export const createRedisJobs = ({
  client,
  prefix,
  keepSkippedMs,
  now = Date.now,
}: Options): JobStore => {
  const keyOf = (name: QueueName, part: string) => `${prefix}:${name}:${part}`;
  const of = redisKeys(prefix);
  const keysOf = (name: QueueName, id: string, told?: Told) => {
    const signalId = told?.life.signalId ?? id;
    return [
      keyOf(name, id),
      keyOf(name, `${id}:logs`),
      of.skipped(signalId),
      of.remembered(signalId),
    ];
  };
  const valuesOf = (id: string, told?: Told) => {
    if (told === undefined) return [id, '', 0, '', 0];
    const { life, memory } = told;
    const text = memoryText(life.signalId, memory.contentId);
    const rememberedMs = msLeft(memory.until, now());
    // As long as it is known again, it is known why it was not sent.
    return [id, JSON.stringify(life), Math.max(keepSkippedMs, rememberedMs), text, rememberedMs];
  };

  return {
    every: async function* (name) {
      for await (const ids of scanNames(client, keyOf(name, ''), { type: 'hash' })) {
        const pipeline = client.pipeline();
        for (const id of ids) pipeline.hget(keyOf(name, id), 'data');
        const texts = await runPipeline(pipeline);
        for (const [index, id] of ids.entries()) {
          const text = texts[index];
          if (typeof text === 'string') yield { id, text };
        }
      }
    },

    swap: async (name, { id, text }, data) =>
      (await client.eval(REPLACE, 1, keyOf(name, id), text, JSON.stringify(data))) === 1,

    removeFinished: async (name, state, { jobId, finishedAt }, told) => {
      const keys = [...keysOf(name, jobId, told), keyOf(name, state)];
      const values = [...valuesOf(jobId, told), finishedAt];
      return (await client.eval(REMOVE_FINISHED, keys.length, ...keys, ...values)) === 1;
    },

    countDue: (name) =>
      // BullMQ's score of a time: its milliseconds, times so many that one of them can hold.
      client.zcount(keyOf(name, 'delayed'), '-inf', now() * 0x1000 + 0xfff),

    removeWaiting: async (name, jobId, told) => {
      const lists = ['wait', 'paused', 'delayed'].map((list) => keyOf(name, list));
      const keys = [...keysOf(name, jobId, told), ...lists];
      const values = valuesOf(jobId, told);
      return (await client.eval(REMOVE_WAITING, keys.length, ...keys, ...values)) === 1;
    },
  };
};
