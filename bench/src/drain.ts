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

const PORTION = 1_000;
// The start is not measured, nor the end, where there is too little left to be quick with.
const FROM = 0.15;
const TO = 0.95;

/** How fast a queue was emptied, and what that cost. */
export type Drained = {
  perSecond: number;
  /** Processor time of the worker and of Redis for one signal, in µs. */
  workerMicros: number;
  redisMicros: number;
  /** The worker's memory at its end, in MiB. */
  memoryMiB: number;
};

const portions = function* (count: number): Generator<number[]> {
  for (let at = 0; at < count; at += PORTION) {
    yield Array.from({ length: Math.min(PORTION, count - at) }, (_, index) => at + index);
  }
};

/** As the dispatcher's library does. */
export const fillOurs = async (redisUrl: string, count: number): Promise<void> => {
  const producer = createProducer({ redisUrl });
  for (const numbers of portions(count)) {
    await producer.enqueueMany(numbers.map((number) => buildSignal(number)));
  }
  await producer.close();
};

/** As one would in an afternoon; under ids as long as ours, if they are to be compared. */
export const fillNaive = async (
  redisUrl: string,
  count: number,
  newId?: () => string,
): Promise<void> => {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue('signals', { connection });
  const opts = { attempts: 10, backoff: { type: 'exponential', delay: 1_000 } };
  for (const numbers of portions(count)) {
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

export type Contestant = {
  name: string;
  /** How many signals it gets for a run of some seconds. */
  count: number;
  fill?: (redisUrl: string, count: number) => Promise<void>;
  /** The worker; or the program that does it all. */
  run: (redis: BenchRedis, seek: Seek, counts: number[]) => Running;
  /** Who counts, where SEEK does not. */
  countsItself?: boolean;
};

export const ours = (name: string, count: number, env: Record<string, string>): Contestant => ({
  ...{ name, count, fill: fillOurs },
  run: (redis, seek) =>
    startCommand(['worker'], {
      ...{ REDIS_URL: redis.url, SEEK_CLIENT_ID: 'bench', SEEK_CLIENT_SECRET: 'bench' },
      ...{ SEEK_API_URL: `${seek.url}/graphql`, SEEK_AUTH_URL: `${seek.url}/oauth/token` },
      ...{ METRICS_PORT: '0', ...env },
    }),
});

export const naive = (count: number): Contestant => ({
  ...{ name: 'naive', count, fill: fillNaive },
  run: (redis, seek) => start('naive', [redis.url, seek.url]),
});

export const empty = (count: number): Contestant => ({
  ...{ name: 'BullMQ empty', count, fill: fillNaive, countsItself: true },
  run: (redis, _, counts) => start('empty', [redis.url, ...counts]),
});

export const bareHttp = (count: number): Contestant => ({
  ...{ name: 'undici alone', count },
  run: (_, seek) => start('bareHttp', [seek.url, count]),
});

/** One run from an empty Redis to an empty queue. */
export const drain = async (contestant: Contestant, latencyMs: number): Promise<Drained> => {
  const { count, fill, run, countsItself = false } = contestant;
  const [redis, seek] = await Promise.all([startRedis(), startSeek(latencyMs)]);
  try {
    await fill?.(redis.url, count);
    const [first, last] = [Math.round(count * FROM), Math.round(count * TO)];
    if (!countsItself) seek.say({ watch: [first, last] });
    const worker = run(redis, seek, [first, last]);
    const teller = countsItself ? worker : seek;
    const used = async () => [await cpuMs(worker.pid), await cpuMs(redis.pid)] as const;

    const from = await reaches(teller, first);
    const [workerBefore, redisBefore] = await used();
    const to = await reaches(teller, last);
    const [workerAfter, redisAfter] = await used();
    const { most } = await memoryMiB(worker.pid);
    await worker.stop('SIGKILL');

    const signals = last - first;
    return {
      perSecond: (signals / (to.at - from.at)) * 1_000,
      workerMicros: ((workerAfter - workerBefore) / signals) * 1_000,
      redisMicros: ((redisAfter - redisBefore) / signals) * 1_000,
      memoryMiB: most,
    };
  } finally {
    await Promise.all([seek.stop('SIGKILL'), redis.stop()]);
  }
};
