import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { createProducer } from 'seek-signal-dispatcher';

import type { Contestant } from './drain.js';
import { buildSignal, clock } from './payload.js';
import { hears, startRedis, startSeek } from './processes.js';
import type { FromSeek } from './seek.js';
import { quantile } from './statistics.js';

/** From the moment that a signal is made to SEEK's answer, in ms. */
export type Latency = { p50: number; p99: number };

const openSender = (how: 'ours' | 'naive', redisUrl: string) => {
  if (how === 'ours') {
    const producer = createProducer({ redisUrl });
    return {
      send: (number: number) => producer.enqueue(buildSignal(number, clock())),
      close: () => producer.close(),
    };
  }
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue('signals', { connection });
  return {
    send: (number: number) => queue.add('signal', buildSignal(number, clock())),
    close: async () => {
      await queue.close();
      connection.disconnect();
    },
  };
};

/** So many signals a second, evenly, for so many seconds. */
export const measureLatency = async (
  { run }: Contestant,
  how: 'ours' | 'naive',
  { perSecond, seconds, latencyMs }: { perSecond: number; seconds: number; latencyMs: number },
): Promise<Latency> => {
  const [redis, seek] = await Promise.all([startRedis(), startSeek(latencyMs)]);
  const sender = openSender(how, redis.url);
  const worker = run(redis, seek, []);
  try {
    const underWay: Promise<unknown>[] = [];
    const offer = async (count: number): Promise<void> => {
      const began = clock();
      for (let number = 0; number < count; number += 1) {
        const ms = began + (number / perSecond) * 1_000 - clock();
        if (ms > 1) await delay(ms);
        underWay.push(sender.send(number + Math.random()));
      }
      await Promise.all(underWay.splice(0));
    };
    // The worker has started once it has answered, and is warm after some more.
    await offer(Math.min(500, 2 * perSecond + 50));
    await delay(2_500);
    seek.say({ timed: true });
    await offer(perSecond * seconds);
    await delay(1_000);
    seek.say({ timed: false });
    const { latencies } = await hears(
      seek,
      (message): message is Extract<FromSeek, { latencies: number[] }> => 'latencies' in message,
    );
    return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) };
  } finally {
    await sender.close();
    await worker.stop('SIGKILL');
    await Promise.all([seek.stop('SIGKILL'), redis.stop()]);
  }
};
