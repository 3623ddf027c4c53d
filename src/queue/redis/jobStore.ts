import type { Job } from 'bullmq';
import type { Redis } from 'ioredis';
import type { JobDataStore, JobStore, QueueName, SkipRecord } from '../backend.ts';
import { dedupeText, msLeft } from '../dedupeWindow.ts';
import { defineScript, runPipeline, scanNames } from './commands.ts';
import { redisKeys } from './keys.ts';

type Options = { client: Redis; prefix: string; skipRecordTtlMs: number; now?: () => number };

/** As BullMQ keeps jobs: each in a hash under `PREFIX:QUEUE:ID`, and its id in the list of its state. */
export const createRedisJobs = ({
  client,
  prefix,
  skipRecordTtlMs,
  now = Date.now,
}: Options): JobStore => {
  const keyOf = (name: QueueName, part: string) => `${prefix}:${name}:${part}`;
  const of = redisKeys(prefix);
  const replaceJobData = defineScript(client, 'replaceJobData');
  const removeFinishedJob = defineScript(client, 'removeFinishedJob');
  const removeWaitingJob = defineScript(client, 'removeWaitingJob');
  const keysOf = (name: QueueName, id: string, told?: SkipRecord) => {
    const signalId = told?.record.signalId ?? id;
    return [keyOf(name, id), keyOf(name, `${id}:logs`), of.skipped(signalId), of.dedupe(signalId)];
  };
  const valuesOf = (id: string, told?: SkipRecord) => {
    if (told === undefined) return [id, '', 0, '', 0];
    const { record, dedupe } = told;
    const text = dedupeText(record.signalId, dedupe.contentId);
    const rememberedMs = msLeft(dedupe.until, now());
    // As long as it is known again, it is known why it was not sent.
    return [
      id,
      JSON.stringify(record),
      Math.max(skipRecordTtlMs, rememberedMs),
      text,
      rememberedMs,
    ];
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

/** As BullMQ keeps it: under `PREFIX:QUEUE:ID`, its lock beside it. */
export const createRedisJobDataStore = (client: Redis, prefix: string): JobDataStore => {
  const { unsent } = redisKeys(prefix);
  const writeJobData = defineScript(client, 'writeJobData');
  const replaceJobData = defineScript(client, 'replaceJobData');
  const keyOf = ({ queueName, id }: Job) => `${prefix}:${queueName}:${id}`;

  return {
    write: async (job, lock = '', data) => {
      const key = keyOf(job);
      const text = JSON.stringify(data);
      const keys = [key, `${key}:lock`, unsent];
      const values = [lock, text, job.timestamp, job.id ?? ''];
      if ((await writeJobData(keys, values)) !== 1) return false;
      // Whoever is handed the job next, the undertaker first of all, reads it there.
      job.data = data;
      return true;
    },
    replace: async (job, from, to) => {
      const [before, after] = [JSON.stringify(from), JSON.stringify(to)];
      return (await replaceJobData([keyOf(job)], [before, after])) === 1;
    },
  };
};

/** Where one process has the queue to itself, there is nobody to write over. */
export const createOwnJobDataStore = (): JobDataStore => {
  const write = async (job: Job, data: unknown): Promise<boolean> => {
    await job.updateData(data);
    return true;
  };
  return {
    write: (job, _, data) => write(job, data),
    replace: (job, _, to) => write(job, to),
  };
};
