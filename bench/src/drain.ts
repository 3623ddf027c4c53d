import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { createProducer } from 'seek-signal-dispatcher';

import { buildSignal } from './payload.js';
import {
  type BenchRedis,
  cpuMs,
  memoryMiB,
  type Running,
  reaches,
  type Seek,
  start,
  startCommand,
  startRedis,
  startSeek,
} from './processes.js';

const BULK = 1_000;
// The start is not measured, nor the end, where too few signals wait to keep the worker busy.
const MEASURED_FROM = 0.15;
const MEASURED_TO = 0.95;

/** How fast a queue was drained, and at which cost. */
export type Drained = {
  perSecond: number;
  /** CPU time of the worker and of Redis per signal, in µs. */
  workerMicros: number;
  redisMicros: number;
  /** The peak memory of the worker, in MiB. */
  memoryMiB: number;
};

const bulks = function* (count: number): Generator<number[]> {
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

export type Subject = {
  name: string;
  /** The number of signals for a run of several seconds. */
  count: number;
  fill?: (redisUrl: string, count: number) => Promise<void>;
  /** Starts the worker, or the program that does everything. */
  run: (redis: BenchRedis, seek: Seek, counts: number[]) => Running;
  /** The program itself counts its signals, because none reaches SEEK. */
  countsItself?: boolean;
};

export const ours = (name: string, count: number, env: Record<string, string>): Subject => ({
  name,
  count,
  fill: fillOurs,
  run: (redis, seek) =>
    startCommand(['worker'], {
      REDIS_URL: redis.url,
      SEEK_CLIENT_ID: 'bench',
      SEEK_CLIENT_SECRET: 'bench',
      SEEK_API_URL: `${seek.url}/graphql`,
      SEEK_AUTH_URL: `${seek.url}/oauth/token`,
      METRICS_PORT: '0',
      ...env,
    }),
});

export const naive = (count: number): Subject => ({
  name: 'naive',
  count,
  fill: fillNaive,
  run: (redis, seek) => start('naive', [redis.url, seek.url]),
});

export const empty = (count: number): Subject => ({
  name: 'BullMQ empty',
  count,
  fill: fillNaive,
  countsItself: true,
  run: (redis, _, counts) => start('empty', [redis.url, ...counts]),
});

export const bareHttp = (count: number): Subject => ({
  name: 'undici alone',
  count,
  run: (_, seek) => start('bareHttp', [seek.url, count]),
});

/** One run on a fresh Redis: fills the queue and drains it. */
export const drain = async (subject: Subject, latencyMs: number): Promise<Drained> => {
  const { count, fill, run, countsItself = false } = subject;
  const [redis, seek] = await Promise.all([startRedis(), startSeek(latencyMs)]);
  try {
    await fill?.(redis.url, count);
    const [first, last] = [Math.round(count * MEASURED_FROM), Math.round(count * MEASURED_TO)];
    if (!countsItself) seek.send({ watch: [first, last] });
    const worker = run(redis, seek, [first, last]);
    const counter = countsItself ? worker : seek;
    const used = async () => [await cpuMs(worker.pid), await cpuMs(redis.pid)] as const;

    const from = await reaches(counter, first);
    const [workerBefore, redisBefore] = await used();
    const to = await reaches(counter, last);
    const [workerAfter, redisAfter] = await used();
    const { peak } = await memoryMiB(worker.pid);
    await worker.stop('SIGKILL');

    const signals = last - first;
    return {
      perSecond: (signals / (to.at - from.at)) * 1_000,
      workerMicros: ((workerAfter - workerBefore) / signals) * 1_000,
      redisMicros: ((redisAfter - redisBefore) / signals) * 1_000,
      memoryMiB: peak,
    };
  } finally {
    await Promise.all([seek.stop('SIGKILL'), redis.stop()]);
  }
};
