import type { Job } from 'bullmq';
import type { Redis } from 'ioredis';

import type { JobData } from './backend.ts';
import { defineScript } from './redis/commands.ts';
import { redisKeys } from './redisKeys.ts';

/** As BullMQ keeps it: under `PREFIX:QUEUE:ID`, its lock beside it. */
export const createRedisJobData = (client: Redis, prefix: string): JobData => {
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
export const createOwnJobData = (): JobData => {
  const write = async (job: Job, data: unknown): Promise<boolean> => {
    await job.updateData(data);
    return true;
  };
  return {
    write: (job, _, data) => write(job, data),
    replace: (job, _, to) => write(job, to),
  };
};
