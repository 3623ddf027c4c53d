import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { createProducer } from 'seek-signal-dispatcher';

import { buildSignal, clock } from './payload.js';

/**
 * `enqueueRates METHOD REDIS_URL COUNT [API_URL API_KEY]`: enqueues signals by one method, and sends its
 * parent the number of signals per second.
 */
const [, , method = '', redisUrl = '', countArg = '0', apiUrl = '', apiKey = ''] = process.argv;
const count = Number(countArg);
const CONCURRENCY = 100;
const BULK = 1_000;
const OPTS = { attempts: 10, backoff: { type: 'exponential', delay: 1_000 } };

/** Calls with each number below `times`, up to `CONCURRENCY` at a time. */
const concurrently = async (times: number, call: (number: number) => Promise<unknown>) => {
  let next = 0;
  const work = async () => {
    while (next < times) {
      const number = next;
      next += 1;
      await call(number);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, times) }, work));
};

const bulks = (build: (number: number) => object): object[][] =>
  Array.from({ length: count / BULK }, (_, bulk) =>
    Array.from({ length: BULK }, (_unused, index) => build(bulk * BULK + index)),
  );

const methods: Record<string, () => Promise<() => Promise<unknown>>> = {
  enqueue: async () => {
    const producer = createProducer({ redisUrl });
    await producer.enqueue(buildSignal(-1));
    return () => concurrently(count, (number) => producer.enqueue(buildSignal(number)));
  },
  enqueueMany: async () => {
    const producer = createProducer({ redisUrl });
    await producer.enqueue(buildSignal(-1));
    return async () => {
      for (let at = 0; at < count; at += BULK) {
        await producer.enqueueMany(
          Array.from({ length: BULK }, (_, index) => buildSignal(at + index)),
        );
      }
    };
  },
  add: async () => {
    const queue = new Queue('signals', { connection: new Redis(redisUrl) });
    await queue.add('signal', buildSignal(-1), OPTS);
    return () => concurrently(count, (number) => queue.add('signal', buildSignal(number), OPTS));
  },
  addBulk: async () => {
    const queue = new Queue('signals', { connection: new Redis(redisUrl) });
    await queue.add('signal', buildSignal(-1), OPTS);
    return async () => {
      for (let at = 0; at < count; at += BULK) {
        await queue.addBulk(
          Array.from({ length: BULK }, (_, index) => ({
            name: 'signal',
            data: buildSignal(at + index),
            opts: OPTS,
          })),
        );
      }
    };
  },
  http: async () => {
    const post = async (signals: object[]) => {
      const answer = await fetch(`${apiUrl}/signals/batch`, {
        method: 'POST',
        headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ signals }),
      });
      if (answer.status !== 202) throw new Error(`${answer.status} ${await answer.text()}`);
      await answer.text();
    };
    await post([buildSignal(-1)]);
    return async () => {
      for (const signals of bulks((number) => buildSignal(number))) await post(signals);
    };
  },
};

const prepare = methods[method];
if (prepare === undefined) {
  throw new Error(`Unknown method ${method}: use one of ${Object.keys(methods).join(', ')}`);
}
const run = await prepare();
const startedAt = clock();
await run();
process.send?.({ perSecond: (count / (clock() - startedAt)) * 1_000 });
process.exit(0);
