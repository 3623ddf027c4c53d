import type { Redis } from 'ioredis';

import type { JobStore, QueueName, Told } from './backend.ts';
import { memoryText, msLeft } from './memory.ts';
import { defineScript } from './redis/commands.ts';
import { redisKeys } from './redisKeys.ts';
import { runPipeline } from './runPipeline.ts';
import { scanNames } from './scanNames.ts';

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
  const replaceJobData = defineScript(client, 'replaceJobData');
  const removeFinishedJob = defineScript(client, 'removeFinishedJob');
  const removeWaitingJob = defineScript(client, 'removeWaitingJob');
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
      (await replaceJobData([keyOf(name, id)], [text, JSON.stringify(data)])) === 1,

    removeFinished: async (name, state, { jobId, finishedAt }, told) => {
      const keys = [...keysOf(name, jobId, told), keyOf(name, state)];
      const values = [...valuesOf(jobId, told), finishedAt];
      return (await removeFinishedJob(keys, values)) === 1;
    },

    countDue: (name) =>
      // BullMQ's score of a time: its milliseconds, times so many that one of them can hold.
      client.zcount(keyOf(name, 'delayed'), '-inf', now() * 0x1000 + 0xfff),

    removeWaiting: async (name, jobId, told) => {
      const lists = ['wait', 'paused', 'delayed'].map((list) => keyOf(name, list));
      const keys = [...keysOf(name, jobId, told), ...lists];
      const values = valuesOf(jobId, told);
      return (await removeWaitingJob(keys, values)) === 1;
    },
  };
};
