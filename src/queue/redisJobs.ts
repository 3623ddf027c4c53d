import type { Redis } from 'ioredis';

import type { SignalLife } from '../schemas/states.ts';
import type { JobStore, QueueName } from './backend.ts';
import { REPLACE } from './jobData.ts';
import { skippedKey } from './redisLedger.ts';
import { runPipeline } from './runPipeline.ts';
import { scanNames } from './scanNames.ts';

// What is said of a job goes with it, in one step. BullMQ's own data of a job without parent, children
// or deduplication are its hash and its logs.
const GOES = `
redis.call('DEL', KEYS[1], KEYS[2])
if ARGV[2] ~= '' then redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3]) end
return 1`;

const REMOVE_FINISHED = `
local finishedAt = redis.call('ZSCORE', KEYS[4], ARGV[1])
if not finishedAt or tonumber(finishedAt) ~= tonumber(ARGV[4]) then return 0 end
redis.call('ZREM', KEYS[4], ARGV[1])${GOES}`;

const REMOVE_WAITING = `
if redis.call('LREM', KEYS[4], 1, ARGV[1]) + redis.call('LREM', KEYS[5], 1, ARGV[1])
  + redis.call('ZREM', KEYS[6], ARGV[1]) == 0 then return 0 end${GOES}`;

type Options = { client: Redis; prefix: string; keepSkippedMs: number };

/** As BullMQ keeps jobs: each in a hash under `PREFIX:QUEUE:ID`, and its id in the list of its state. */
export const createRedisJobs = ({ client, prefix, keepSkippedMs }: Options): JobStore => {
  const keyOf = (name: QueueName, part: string) => `${prefix}:${name}:${part}`;
  const keysOf = (name: QueueName, id: string, record?: SignalLife) => [
    keyOf(name, id),
    keyOf(name, `${id}:logs`),
    skippedKey(prefix, record?.signalId ?? id),
  ];
  const textOf = (record?: SignalLife) => (record === undefined ? '' : JSON.stringify(record));

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

    removeFinished: async (name, state, { jobId, finishedAt }, record) => {
      const keys = [...keysOf(name, jobId, record), keyOf(name, state)];
      const values = [jobId, textOf(record), keepSkippedMs, finishedAt];
      return (await client.eval(REMOVE_FINISHED, keys.length, ...keys, ...values)) === 1;
    },

    removeWaiting: async (name, jobId, record) => {
      const lists = ['wait', 'paused', 'delayed'].map((list) => keyOf(name, list));
      const keys = [...keysOf(name, jobId, record), ...lists];
      const values = [jobId, textOf(record), keepSkippedMs];
      return (await client.eval(REMOVE_WAITING, keys.length, ...keys, ...values)) === 1;
    },
  };
};
