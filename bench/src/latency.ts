import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { createProducer } from 'seek-signal-dispatcher';
import { buildSignal, clock } from './payload.js';
import { startRedis, startSeek, waitForMessage } from './processes.js';
import type { FromSeek } from './seek.js';
import { quantile } from './statistics.js';
import type { Subject } from './subjects.js';

/** From the creation of a signal to SEEK's answer, in ms. */
export type Latency = { p50: number; p99: number };

/** A constant rate of signals, and how long SEEK takes to answer. */
export type Load = { perSecond: number; seconds: number; latencyMs: number };

const openSender = (sender: 'ours' | 'naive', redisUrl: string) => {
  if (sender === 'ours') {
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

/** Measures the latency of a worker under a constant load. */
export const measureLatency = async (
  { run }: Subject,
  senderKind: 'ours' | 'naive',
  { perSecond, seconds, latencyMs }: Load,
): Promise<Latency> => {
  const [redis, seek] = await Promise.all([startRedis(), startSeek(latencyMs)]);
  const sender = openSender(senderKind, redis.url);
  const worker = run(redis, seek, []);
  try {
    const sends: Promise<unknown>[] = [];
    const sendEvenly = async (count: number): Promise<void> => {
      const startedAt = clock();
      for (let number = 0; number < count; number += 1) {
        const ms = startedAt + (number / perSecond) * 1_000 - clock();
        if (ms > 1) await delay(ms);
        sends.push(sender.send(number + Math.random()));
      }
      await Promise.all(sends.splice(0));
    };
    // Warms up the worker.
    await sendEvenly(Math.min(500, 2 * perSecond + 50));
    await delay(2_500);
    seek.send({ timed: true });
    await sendEvenly(perSecond * seconds);
    await delay(1_000);
    seek.send({ timed: false });
    const { latencies } = await waitForMessage(
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
