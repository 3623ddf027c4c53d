import { Worker } from 'bullmq';
import { Redis } from 'ioredis';

import { fillNaive } from '../fill.js';
import { type BenchSignal, CONCURRENCY, runPeer } from './peer.js';

await runPeer({
  fill: fillNaive,
  work: (redisUrl, deliver) =>
    new Worker<BenchSignal>('signals', (job) => deliver(job.id ?? '', job.data), {
      connection: new Redis(redisUrl, { maxRetriesPerRequest: null }),
      concurrency: CONCURRENCY,
      removeOnComplete: { count: 1_000 },
    }),
});
