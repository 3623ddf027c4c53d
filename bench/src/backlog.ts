import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { createProducer } from 'seek-signal-dispatcher';

import { KEY, startApi } from './api.js';
import { buildSignal, clock } from './payload.js';
import { memoryMiB, reaches, startRedis, startSeek } from './processes.js';
import { quantile } from './statistics.js';
import { ours } from './subjects.js';

const BULK = 1_000;
const SHALLOW = 10_000;
const DEEP = 1_000_000;
const DELAYED = 100_000;
const HOUR_MS = 3_600_000;
/** The number of signals over which each rate is measured. */
const SPAN = 50_000;
const REPEATS = 20;

export type Backlog = {
  /** Signals per second: `shallow` with ten thousand waiting, `deep` with a million and 100,000 delayed. */
  enqueue: { shallow: number; deep: number };
  drain: { shallow: number; deep: number };
  /** With a million waiting: the median of twenty responses, in ms. */
  statusMs: number;
  metricsMs: number;
  /** Memory of the worker in MiB: after 100,000 signals, and after all of them. */
  memory: { early: number; late: number };
};

const medianMs = async (request: () => Promise<unknown>): Promise<number> => {
  const durations: number[] = [];
  for (let n = 0; n < REPEATS; n += 1) {
    const startedAt = clock();
    await request();
    durations.push(clock() - startedAt);
  }
  return quantile(durations, 0.5);
};

const addDelayed = async (redisUrl: string): Promise<void> => {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue('signals', { connection, prefix: '{seek}' });
  for (let at = 0; at < DELAYED; at += BULK) {
    await queue.addBulk(
      Array.from({ length: BULK }, (_, index) => ({
        name: 'ApplicationStatusUpdate',
        data: buildSignal(-at - index),
        opts: { jobId: `delayed-${at + index}`, delay: 24 * HOUR_MS },
      })),
    );
  }
  await queue.close();
  connection.disconnect();
};

/** One long run. It takes several minutes and 1.5 GB of memory. */
export const measureBacklog = async (note: (text: string) => void): Promise<Backlog> => {
  const [redis, seek] = await Promise.all([startRedis(), startSeek(5)]);
  const producer = createProducer({ redisUrl: redis.url });
  let next = 0;
  const enqueue = async (count: number): Promise<number> => {
    const startedAt = clock();
    for (const until = next + count; next < until; next += BULK) {
      await producer.enqueueMany(
        Array.from({ length: BULK }, (_, index) => buildSignal(next + index)),
      );
    }
    return (count / (clock() - startedAt)) * 1_000;
  };
  await enqueue(SHALLOW);
  const shallow = await enqueue(SPAN);
  note(`enqueued ${Math.round(shallow)}/s into a shallow queue`);
  await enqueue(DEEP - SHALLOW - 2 * SPAN);
  await addDelayed(redis.url);
  const deep = await enqueue(SPAN);
  note(`enqueued ${Math.round(deep)}/s into a deep queue`);
  await producer.close();

  const api = await startApi(redis.url);
  const get = (path: string) => () =>
    fetch(`${api.url}${path}`, { headers: { authorization: `Bearer ${KEY}` } }).then((answer) => {
      if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
      return answer.text();
    });
  const statusMs = await medianMs(get('/status'));
  const metricsMs = await medianMs(get('/metrics'));
  await api.stop();
  note(`GET /status and /metrics: ${statusMs.toFixed(1)} ms, ${metricsMs.toFixed(1)} ms`);

  const warm = 2 * SHALLOW;
  const marks = [warm, warm + SPAN, 100_000, DEEP - SHALLOW - SPAN, DEEP - SHALLOW];
  seek.send({ watch: marks });
  const worker = ours('backlog', 0, { BATCH_SIZE: '100' }).run(redis, seek, []);
  const reachedAt = new Map<number, number>();
  const memory = { early: 0, late: 0 };
  for (const mark of marks) {
    reachedAt.set(mark, (await reaches(seek, mark)).at);
    const { now } = await memoryMiB(worker.pid);
    if (mark <= 100_000) memory.early = Math.max(memory.early, now);
    else memory.late = Math.max(memory.late, now);
  }
  const between = (from: number, to: number) =>
    ((to - from) / ((reachedAt.get(to) ?? 0) - (reachedAt.get(from) ?? 0))) * 1_000;
  const drain = {
    deep: between(warm, warm + SPAN),
    shallow: between(DEEP - SHALLOW - SPAN, DEEP - SHALLOW),
  };
  await worker.stop('SIGKILL');
  await Promise.all([seek.stop('SIGKILL'), redis.stop()]);
  return { enqueue: { shallow, deep }, drain, statusMs, metricsMs, memory };
};
