import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { createProducer } from 'seek-signal-dispatcher';

import { buildSignal } from './payload.js';

const BULK = 1_000;

/** The numbers from 0 to `count` in groups of at most `BULK`. */
export const bulks = function* (count: number): Generator<number[]> {
  for (let at = 0; at < count; at += BULK) {
    yield Array.from({ length: Math.min(BULK, count - at) }, (_, index) => at + index);
  }
};

/** Fills the queue with the dispatcher's library. */
export const fillOurs = async (redisUrl: string, count: number): Promise<void> => {
  const producer = createProducer({ redisUrl });
  for (const numbers of bulks(count)) {
    await producer.enqueueMany(numbers.map((number) => buildSignal(number)));
  }
  await producer.close();
};

/** Fills the queue with plain BullMQ; with ids as long as ours if `newId` is given. */
export const fillNaive = async (
  redisUrl: string,
  count: number,
  newId?: () => string,
): Promise<void> => {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue('signals', { connection });
  const opts = { attempts: 10, backoff: { type: 'exponential', delay: 1_000 } };
  for (const numbers of bulks(count)) {
    await queue.addBulk(
      numbers.map((number) => ({
        name: 'signal',
        data: buildSignal(number),
        opts: newId === undefined ? opts : { ...opts, jobId: newId() },
      })),
    );
  }
  await queue.close();
  connection.disconnect();
};
