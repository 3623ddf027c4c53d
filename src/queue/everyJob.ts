import type { Job, JobType } from 'bullmq';

import type { JobQueue } from './backend.ts';

const PAGE = 500;

/** The oldest last: what comes in meanwhile moves nothing past us. */
export const everyJob = async function* (queue: JobQueue, state: JobType): AsyncGenerator<Job> {
  for (let start = 0; ; start += PAGE) {
    const jobs = await queue.getJobs([state], start, start + PAGE - 1);
    for (const job of jobs) if (job) yield job;
    if (jobs.length === 0) return;
  }
};
