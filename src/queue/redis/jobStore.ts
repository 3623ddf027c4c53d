import type { Redis } from 'ioredis';
import type { JobDataStore, JobStore, QueueName, SkipRecord } from '../backend.ts';
import { dedupeText, msLeft } from '../dedupeWindow.ts';
import type { TakenJob } from '../jobSource.ts';
import { defineScript, runPipeline, scanNames } from './commands.ts';
import { redisKeys } from './keys.ts';

type Options = { client: Redis; prefix: string; skipRecordTtlMs: number; now?: () => number };

/**
 * Jobs as BullMQ 6.7.0 stores them: each in a hash under `PREFIX:QUEUE:ID`, its id in the list or sorted
 * set of its state.
 */
export const createRedisJobs = ({
  client,
  prefix,
  skipRecordTtlMs,
  now = Date.now,
}: Options): JobStore => {
  const keyOf = (name: QueueName, part: string) => `${prefix}:${name}:${part}`;
  const signalKeys = redisKeys(prefix);
  const replaceJobData = defineScript(client, 'replaceJobData');
  const removeFinishedJob = defineScript(client, 'removeFinishedJob');
  const removeWaitingJob = defineScript(client, 'removeWaitingJob');

  const removalKeys = (name: QueueName, id: string, skip?: SkipRecord) => {
    const signalId = skip?.record.signalId ?? id;
    return [
      keyOf(name, id),
      keyOf(name, `${id}:logs`),
      signalKeys.skipped(signalId),
      signalKeys.dedupe(signalId),
    ];
  };
  const removalValues = (id: string, skip?: SkipRecord) => {
    if (skip === undefined) return [id, '', 0, '', 0];
    const { record, dedupe } = skip;
    const dedupeMs = msLeft(dedupe.until, now());
    return [
      id,
      JSON.stringify(record),
      // While duplicates are recognised, their answer needs the reason of the skip.
      Math.max(skipRecordTtlMs, dedupeMs),
      dedupeText(record.signalId, dedupe.contentId),
      dedupeMs,
    ];
  };

  return {
    scan: async function* (name) {
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

    replaceData: async (name, { id, text }, data) =>
      (await replaceJobData([keyOf(name, id)], [text, JSON.stringify(data)])) === 1,

    removeFinished: async (name, state, { jobId, finishedAt }, skip) => {
      const keys = [...removalKeys(name, jobId, skip), keyOf(name, state)];
      const values = [...removalValues(jobId, skip), finishedAt];
      return (await removeFinishedJob(keys, values)) === 1;
    },

    countDue: (name) =>
      // BullMQ's score is the time in ms times 0x1000, plus a counter of the jobs of that millisecond.
      client.zcount(keyOf(name, 'delayed'), '-inf', now() * 0x1000 + 0xfff),

    removeWaiting: async (name, jobId, skip) => {
      const lists = ['wait', 'paused', 'delayed'].map((list) => keyOf(name, list));
      const keys = [...removalKeys(name, jobId, skip), ...lists];
      return (await removeWaitingJob(keys, removalValues(jobId, skip))) === 1;
    },
  };
};

/** As BullMQ 6.7.0 stores a job and its lock: `PREFIX:QUEUE:ID` and `PREFIX:QUEUE:ID:lock`. */
export const createRedisJobDataStore = (client: Redis, prefix: string): JobDataStore => {
  const signalKeys = redisKeys(prefix);
  const writeJobData = defineScript(client, 'writeJobData');
  const replaceJobData = defineScript(client, 'replaceJobData');
  const keyOf = ({ id }: TakenJob) => signalKeys.job(id);

  return {
    write: async (job, data) => {
      const key = keyOf(job);
      const text = JSON.stringify(data);
      const keys = [key, `${key}:lock`, signalKeys.unsent];
      const values = [job.lock, text, job.timestamp, job.id];
      if ((await writeJobData(keys, values)) !== 1) return false;
      // The sweeper reads the data from this job when it fails.
      job.data = data;
      return true;
    },
    replace: async (job, from, to) => {
      const [before, after] = [JSON.stringify(from), JSON.stringify(to)];
      return (await replaceJobData([keyOf(job)], [before, after])) === 1;
    },
  };
};
