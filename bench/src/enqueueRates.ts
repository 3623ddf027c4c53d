import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { createProducer } from 'seek-signal-dispatcher';

import { buildSignal, clock } from './payload.js';

/**
 * `enqueueRates HOW REDIS_URL COUNT [API_URL API_KEY]`: accepts so many signals in one way, and tells its
 * parent how many that is a second.
 */
const [, , how = '', redisUrl = '', given = '0', apiUrl = '', apiKey = ''] = process.argv;
const count = Number(given);
const AT_ONCE = 100;
const BULK = 1_000;
const OPTS = { attempts: 10, backoff: { type: 'exponential', delay: 1_000 } };

/** Calls so many at a time, each for one of the numbers. */
const concurrently = async (times: number, call: (number: number) => Promise<unknown>) => {
  let next = 0;
  const work = async () => {
    while (next < times) {
      const number = next;
      next += 1;
      await call(number);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, times) }, work));
};

const bulks = (build: (number: number) => object): object[][] =>
  Array.from({ length: count / BULK }, (_, bulk) =>
    Array.from({ length: BULK }, (_unused, index) => build(bulk * BULK + index)),
  );

const ways: Record<string, () => Promise<() => Promise<unknown>>> = {
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
            ...{ name: 'signal', data: buildSignal(at + index), opts: OPTS },
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

const open = ways[how];
if (open === undefined) throw new Error(`No such way: ${how}`);
const run = await open();
const began = clock();
await run();
process.send?.({ perSecond: (count / (clock() - began)) * 1_000 });
process.exit(0);
