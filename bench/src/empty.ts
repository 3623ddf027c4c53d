import { Worker } from 'bullmq';
import { Redis } from 'ioredis';

import { clock } from './payload.js';
import type { FromSeek } from './seek.js';

/** BullMQ with an empty processor: `empty REDIS_URL COUNT…` sends its parent a message at each count. */
const [, , redisUrl = '', ...counts] = process.argv;
const watched = counts.map(Number);
let done = 0;

new Worker(
  'signals',
  async () => {
    done += 1;
    while (watched[0] !== undefined && done >= watched[0]) {
      const message: FromSeek = { reached: watched.shift() ?? 0, at: clock() };
      process.send?.(message);
    }
  },
  {
    connection: new Redis(redisUrl, { maxRetriesPerRequest: null }),
    concurrency: 100,
    removeOnComplete: { count: 1000 },
  },
);
process.on('disconnect', () => process.exit());
