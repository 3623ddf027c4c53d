import BeeQueue from 'bee-queue';

import { bulks } from '../fill.js';
import { buildSignal } from '../payload.js';
import { type BenchSignal, CONCURRENCY, runPeer } from './peer.js';

const openQueue = (redisUrl: string, isWorker: boolean) =>
  new BeeQueue<BenchSignal>('signals', {
    redis: { url: redisUrl },
    isWorker,
    removeOnSuccess: true,
    // Nothing listens for the results of jobs.
    getEvents: false,
    sendEvents: false,
    storeJobs: false,
  });

await runPeer({
  fill: async (redisUrl, count) => {
    const queue = openQueue(redisUrl, false);
    for (const numbers of bulks(count)) {
      const jobs = numbers.map((number) =>
        queue.createJob(buildSignal(number)).retries(10).backoff('exponential', 1_000),
      );
      const [failure] = (await queue.saveAll(jobs)).values();
      if (failure !== undefined) throw failure;
    }
    await queue.close();
  },
  work: (redisUrl, deliver) => {
    openQueue(redisUrl, true).process(CONCURRENCY, (job) => deliver(job.id, job.data));
  },
});
