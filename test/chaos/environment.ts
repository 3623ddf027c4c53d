import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';

import type { Commands, Env } from '../support/commands.ts';
import { expireLocks } from '../support/expireLocks.ts';
import { startRedis } from '../support/redisServer.ts';
import { startTcpProxy } from '../support/tcpProxy.ts';
import { waitFor } from '../support/waitFor.ts';
import { createProducerClient } from './producerClient.ts';
import type { Random } from './random.ts';
import { startRecordingSeek } from './seek.ts';
import { createSignals } from './signals.ts';
import { createWorkerProcesses, type StartedProcess } from './workerProcesses.ts';

const QUEUE_PREFIX = '{chaos}';
const API_KEY = 'api-key-of-the-ats';

// Short waits: a scenario should take as long as its faults, not as long as the dispatcher's pauses.
const ENV: Env = {
  QUEUE_PREFIX,
  API_KEYS: `ats:${API_KEY}`,
  API_PORT: '0',
  METRICS_PORT: '0',
  WORKER_CONCURRENCY: '10',
  SEEK_TIMEOUT_MS: '5000',
  SHUTDOWN_TIMEOUT_MS: '8000',
  RETRY_BASE_MS: '100',
  RETRY_MAX_MS: '1000',
  DELIVERY_SUSPEND_MAX_MS: '2000',
  KEEP_DELIVERED_COUNT: '100000',
};

type Options = { commands: Commands; random: Random; short: boolean; env: Env };

/** Redis and SEEK, each behind a proxy that can disturb the connections. */
const startServers = async () => {
  const [redis, seek] = await Promise.all([startRedis(), startRecordingSeek()]);
  const [redisProxy, seekProxy] = await Promise.all([
    startTcpProxy(redis.port),
    startTcpProxy(seek.port),
  ]);
  // Connects to Redis directly, so that a test still sees what the proxy hides from the dispatcher.
  const client = new Redis(redis.url, { retryStrategy: () => 200 });
  client.on('error', () => {});

  return {
    redis,
    seek,
    redisProxy,
    seekProxy,
    client,
    env: {
      REDIS_URL: `redis://127.0.0.1:${redisProxy.port}`,
      SEEK_API_URL: `http://127.0.0.1:${seekProxy.port}/graphql`,
      SEEK_AUTH_URL: `http://127.0.0.1:${seekProxy.port}/oauth/token`,
    },
    stop: async (): Promise<void> => {
      client.disconnect();
      await Promise.all([redisProxy.stop(), seekProxy.stop()]);
      await Promise.all([seek.close(), redis.stop()]);
    },
  };
};

const readOutput = (name: string, { written }: StartedProcess) => ({
  name,
  text: written.stdout + written.stderr,
});

/** A deployment of its own: servers, API, workers, and the one client of the API. */
export const startEnvironment = async ({ commands, random, short, env: more }: Options) => {
  const servers = await startServers();
  const { seek } = servers;
  const tokenSecret = `tk${random.of('secret').below(1e9)}s${random.of('secret', 2).below(1e9)}`;
  const clientSecret = `client-secret-${random.of('client').below(1e9)}`;
  const env: Env = {
    ...ENV,
    ...servers.env,
    SEEK_CLIENT_ID: 'chaos-client',
    SEEK_CLIENT_SECRET: clientSecret,
    ...more,
  };
  // The Redis that the scenario has chosen. `drain` reads it.
  let { client } = servers;
  const apis: StartedProcess[] = [];
  const others: StartedProcess[] = [];
  const workers = createWorkerProcesses({ start: commands.start, env });
  const violations: string[] = [];
  const closing: (() => Promise<unknown>)[] = [];
  let apiUrl = '';

  return {
    ...servers,
    get client() {
      return client;
    },
    workers,
    random,
    short,
    env,
    /** What `verify` found. */
    violations,
    history: seek.history,
    concurrency: Number(env.WORKER_CONCURRENCY),
    secrets: [tokenSecret, clientSecret, 'chaos-partner-token'],
    producer: createProducerClient({ url: () => apiUrl, apiKey: API_KEY }),
    buildSignals: createSignals(tokenSecret),
    /** Replaces the one Redis of `startServers`, for the processes that are started from now on. */
    useRedis: (chosen: { env: Env; client: Redis }): void => {
      Object.assign(env, chosen.env);
      client = chosen.client;
    },
    /** Requests go to the API that was started last. */
    startApi: async (): Promise<void> => {
      const api = commands.start(['api'], env);
      apis.push(api);
      apiUrl = await api.waitForOutput(/"url":"([^"]+)"/);
    },
    killApi: async () => {
      await apis.at(-1)?.end('SIGKILL');
    },
    /** Starts any other process. `close` ends it, and the checker searches its output for secrets. */
    start: (args: string[], own: Env) => {
      const process = commands.start(args, own);
      others.push(process);
      return process;
    },
    run: commands.run,
    scale: (full: number, inShortRun: number): number => (short ? inShortRun : full),
    /** Records `violation` unless `holds`. The scenario continues. */
    verify: (holds: boolean, violation: string): void => {
      if (!holds) violations.push(violation);
    },
    /** Resolves with `false` after `timeoutMs`: the checker reports what is missing then. */
    waitUntil: (holds: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> =>
      waitFor(holds, { timeoutMs, everyMs: 100 }).catch(() => false),
    /** Keeps a rejection from ending the process when the scenario fails before it awaits `work`. */
    inBackground: <T>(work: Promise<T>): Promise<T> => {
      work.catch(() => {});
      return work;
    },
    /** For the duration of a fault. */
    pause: (ms: number): Promise<void> => delay(ms),
    /** Expires the locks of killed workers at once. A running worker would lose its jobs. */
    expireLocks: async (): Promise<void> => {
      if (workers.running().length > 0) throw new Error('Locks cannot expire: a worker is running');
      await expireLocks(client, QUEUE_PREFIX, 'signals');
      await expireLocks(client, QUEUE_PREFIX, 'dead-letters');
    },
    key: (...parts: string[]): string => [QUEUE_PREFIX, ...parts].join(':'),
    outputs: (): { name: string; text: string }[] => [
      ...workers.all().map((worker) => readOutput(worker.name.replace('/', '-'), worker)),
      ...apis.map((api, index) => readOutput(`api-${index + 1}`, api)),
      ...others.map((other, index) => readOutput(`other-${index + 1}`, other)),
    ],
    onClose: (close: () => Promise<unknown>): void => {
      closing.push(close);
    },
    close: async (): Promise<void> => {
      for (const process of [...workers.all(), ...apis, ...others]) {
        if (process.isRunning()) await process.end('SIGKILL');
      }
      for (const close of closing) await close();
      await servers.stop();
    },
  };
};

export type Environment = Awaited<ReturnType<typeof startEnvironment>>;
