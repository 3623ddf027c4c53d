import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';

import type { Commands, Env } from '../support/commands.ts';
import { startRedis } from '../support/redisServer.ts';
import { runOutLocks } from '../support/runOutLocks.ts';
import { startTcpProxy } from '../support/tcpProxy.ts';
import { waitFor } from '../support/waitFor.ts';
import { createCrew } from './processes.ts';
import { createAts } from './producers.ts';
import type { Random } from './random.ts';
import { startSeek } from './seek.ts';
import { createSignals } from './signals.ts';

const QUEUE_PREFIX = '{chaos}';
const API_KEY = 'api-key-of-the-ats';

// Quick, so that a scenario's length is that of its faults.
const ENV: Env = {
  ...{ QUEUE_PREFIX, API_KEYS: `ats:${API_KEY}`, API_PORT: '0', METRICS_PORT: '0' },
  ...{ WORKER_CONCURRENCY: '10', SEEK_TIMEOUT_MS: '5000', SHUTDOWN_TIMEOUT_MS: '8000' },
  ...{ RETRY_BASE_MS: '100', RETRY_MAX_MS: '1000', DELIVERY_SUSPEND_MAX_MS: '2000' },
  KEEP_DELIVERED_COUNT: '100000',
};

type Options = { commands: Commands; random: Random; short: boolean; env: Env };

/** A deployment of its own, on a Redis of its own, over roads that can be made bad. */
export const openStage = async ({ commands, random, short, env: more }: Options) => {
  const [redis, seek] = await Promise.all([startRedis(), startSeek()]);
  const [redisRoad, seekRoad] = await Promise.all([
    startTcpProxy(redis.port),
    startTcpProxy(seek.port),
  ]);
  const client = new Redis(redis.url, { retryStrategy: () => 200 });
  client.on('error', () => {});
  const secret = `tk${random.of('secret').below(1e9)}s${random.of('secret', 2).below(1e9)}`;
  const clientSecret = `client-secret-${random.of('client').below(1e9)}`;
  const env: Env = {
    ...{ ...ENV, SEEK_CLIENT_ID: 'chaos-client', SEEK_CLIENT_SECRET: clientSecret },
    REDIS_URL: `redis://127.0.0.1:${redisRoad.port}`,
    SEEK_API_URL: `http://127.0.0.1:${seekRoad.port}/graphql`,
    SEEK_AUTH_URL: `http://127.0.0.1:${seekRoad.port}/oauth/token`,
    ...more,
  };
  const apis: ReturnType<Commands['start']>[] = [];
  const others: ReturnType<Commands['start']>[] = [];
  const crew = createCrew({ start: commands.start, env });
  const complaints: string[] = [];
  const closing: (() => Promise<unknown>)[] = [];
  let url = '';

  const startApi = async (): Promise<void> => {
    const api = commands.start(['api'], env);
    apis.push(api);
    url = await api.says(/"url":"([^"]+)"/);
  };

  return {
    ...{ redis, redisRoad, seek, seekRoad, client, crew, random, short, env, complaints },
    ...{ history: seek.history, concurrency: Number(env.WORKER_CONCURRENCY) },
    secrets: [secret, clientSecret, 'chaos-partner-token'],
    ats: createAts({ url: () => url, apiKey: API_KEY }),
    makeSignals: createSignals(secret),
    startApi,
    /** Any other process of the deployment; it is ended with the stage, and its output looked at. */
    start: (args: string[], own: Env) => {
      const process = commands.start(args, own);
      others.push(process);
      return process;
    },
    run: commands.run,
    killApi: async () => {
      await apis.at(-1)?.end('SIGKILL');
    },
    /** In a whole run, or in a short one. */
    scale: (whole: number, inShort: number): number => (short ? inShort : whole),
    /** What the scenario itself has to say against what it saw. */
    demand: (holds: boolean, otherwise: string): void => {
      if (!holds) complaints.push(otherwise);
    },
    /** Goes on after that time, too: what is wanting then is the checker's to say. */
    until: (holds: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> =>
      waitFor(holds, { timeoutMs, everyMs: 100 }).catch(() => false),
    /** Goes on beside the harm; should that break off first, nobody looks at how this ends. */
    meanwhile: <T>(work: Promise<T>): Promise<T> => {
      work.catch(() => {});
      return work;
    },
    /** While the fault lasts. */
    last: (ms: number): Promise<void> => delay(ms),
    /**
     * What dead workers hold comes free with time; here it passes at once. Only while all workers
     * are dead: a living one keeps its locks.
     */
    letTimePass: async (): Promise<void> => {
      if (crew.present().length > 0) throw new Error('Time passes for all, the living included');
      await runOutLocks(client, QUEUE_PREFIX, 'signals');
      await runOutLocks(client, QUEUE_PREFIX, 'dead-letters');
    },
    key: (...parts: string[]): string => [QUEUE_PREFIX, ...parts].join(':'),
    outputs: (): { name: string; text: string }[] =>
      [
        ...crew.everybody().map(({ name, written }) => ({ name: name.replace('/', '-'), written })),
        ...apis.map(({ written }, index) => ({ name: `api-${index + 1}`, written })),
        ...others.map(({ written }, index) => ({ name: `other-${index + 1}`, written })),
      ].map(({ name, written: { stdout, stderr } }) => ({ name, text: stdout + stderr })),
    onClose: (close: () => Promise<unknown>): void => {
      closing.push(close);
    },
    close: async (): Promise<void> => {
      for (const process of [...crew.everybody(), ...apis, ...others]) {
        if (process.isRunning()) await process.end('SIGKILL');
      }
      client.disconnect();
      await Promise.all([redisRoad, seekRoad].map((road) => road.stop()));
      for (const close of closing) await close();
      await Promise.all([seek.close(), redis.stop()]);
    },
  };
};

export type Stage = Awaited<ReturnType<typeof openStage>>;
