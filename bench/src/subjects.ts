import { fillNaive, fillOurs } from './fill.js';
import { startPostgres } from './postgres.js';
import {
  type Running,
  type Seek,
  type Store,
  start,
  startCommand,
  startRedis,
} from './processes.js';

export type Subject = {
  name: string;
  /** The number of signals for a run of several seconds. */
  count: number;
  startStore: () => Promise<Store>;
  fill?: (storeUrl: string, count: number) => Promise<void>;
  /** Starts the worker, or the program that does everything. */
  run: (store: { url: string }, seek: Seek, counts: number[]) => Running;
  /** The program itself counts its signals, because none reaches SEEK. */
  countsItself?: boolean;
};

export const ours = (name: string, count: number, env: Record<string, string>): Subject => ({
  name,
  count,
  startStore: startRedis,
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
  startStore: startRedis,
  fill: fillNaive,
  run: (redis, seek) => start('naive', [redis.url, seek.url]),
});

export const empty = (count: number): Subject => ({
  name: 'BullMQ empty',
  count,
  startStore: startRedis,
  fill: fillNaive,
  countsItself: true,
  run: (redis, _, counts) => start('empty', [redis.url, ...counts]),
});

export const bareHttp = (count: number): Subject => ({
  name: 'undici alone',
  count,
  startStore: startRedis,
  run: (_, seek) => start('bareHttp', [seek.url, count]),
});

const peer = (
  name: string,
  program: string,
  count: number,
  startStore: () => Promise<Store>,
): Subject => ({
  name,
  count,
  startStore,
  fill: async (storeUrl) => {
    const filling = start(`peers/${program}`, ['fill', storeUrl, count]);
    await filling.ended;
    if (filling.child.exitCode !== 0) throw new Error(`${name}: the queue was not filled`);
  },
  run: (store, seek) => start(`peers/${program}`, ['work', store.url, seek.url]),
});

/** Other queues, each with the same batcher. The counts follow their speed. */
export const PEERS: readonly Subject[] = [
  peer('bee-queue', 'beeQueue', 80_000, startRedis),
  peer('graphile-worker', 'graphileWorker', 80_000, startPostgres),
  peer('BullMQ batched', 'bullmqBatched', 60_000, startRedis),
  peer('pg-boss', 'pgBoss', 30_000, startPostgres),
];
