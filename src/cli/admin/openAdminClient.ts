import { userInfo } from 'node:os';
import * as z from 'zod';

import { type Config, ConfigError } from '../../config/config.ts';
import { createLogger } from '../../observability/logger.ts';
import { orUnavailable } from '../../producer/available.ts';
import { toResults } from '../../producer/enqueue.ts';
import { QueueUnavailableError } from '../../producer/errors.ts';
import { readLock } from '../../queue/embedded/folderLock.ts';
import type { ExplainFailure } from '../../queue/failure.ts';
import { type Composition, compose } from '../compose.ts';
import { guardRedis } from '../processes/guardRedis.ts';
import { openRedisBackend } from '../processes/service.ts';
import type { AdminClient } from './adminClient.ts';
import { createHttpAdminClient } from './httpAdminClient.ts';

const RunningDev = z.object({ apiUrl: z.string(), apiKey: z.string() });

/**
 * Accesses Redis if `REDIS_URL` is set. Otherwise it calls the API of the `seek-signals dev` that runs on
 * `EMBEDDED_PATH`, because only one process can open an embedded queue.
 */
export const openAdminClient = async (config: Config): Promise<AdminClient> => {
  if (config.REDIS_URL !== undefined) {
    return openRedisAdminClient({ ...config, REDIS_URL: config.REDIS_URL });
  }
  const running = RunningDev.safeParse(await readLock(config.EMBEDDED_PATH));
  if (running.success) return createHttpAdminClient(running.data);
  throw new ConfigError(
    `REDIS_URL is not set, and no "seek-signals dev" runs on ${config.EMBEDDED_PATH}: set REDIS_URL, or start "seek-signals dev"`,
  );
};

const PING_TIMEOUT_MS = 5_000;
// Stored as the sender of a signal, where the API stores the name of its key.
const SENDER = 'send';

/** Stored with a redrive or discard, where the API stores the name of its key. */
const operator = (): string => `cli:${userName()}`;

const userName = (): string => {
  try {
    return userInfo().username;
  } catch {
    // A user in a container may have no name.
    return 'unknown';
  }
};

/**
 * Connects to Redis for one command, and composes the parts that the command uses. The caller closes the
 * backend. Rejects if Redis does not answer, or refuses the connection.
 */
export const connectRedis = async (config: Config<'REDIS_URL'>): Promise<Composition> => {
  // Silent, because standard output holds the result only. Errors are thrown, and printed on standard error.
  const logger = createLogger({ level: 'silent' });
  const backend = openRedisBackend(config, 'fail-fast', logger);
  try {
    await orUnavailable(backend.ping(), PING_TIMEOUT_MS, backend.explainFailure);
  } catch (err) {
    await backend.close();
    throw err;
  }
  return compose(config, backend, logger);
};

/** Names the Redis that refuses a command. */
const explainRefusals =
  (explainFailure: ExplainFailure) =>
  <Args extends unknown[], Result>(call: (...args: Args) => Promise<Result>) =>
  (...args: Args): Promise<Result> =>
    call(...args).catch((err: unknown) => {
      const isReply = err instanceof Error && err.name === 'ReplyError';
      throw isReply ? new QueueUnavailableError(explainFailure(err)) : err;
    });

const openRedisAdminClient = async (config: Config<'REDIS_URL'>): Promise<AdminClient> => {
  const composition = await connectRedis(config);
  const { backend, lookup, deadLetters, seekTokens } = composition;
  const enqueue = await composition.openEnqueue();
  let guarded: Promise<unknown> | undefined;
  /** Refuses to accept signals into a Redis that may evict them. Checked once, before the first write. */
  const guard = (): Promise<unknown> => {
    guarded ??= guardRedis(composition, {
      allowUnsafe: config.ALLOW_UNSAFE_REDIS,
    });
    return guarded;
  };

  const explained = explainRefusals(backend.explainFailure);

  return {
    enqueue: async (signals) => {
      await guard();
      return toResults(await enqueue(signals, { from: SENDER }));
    },
    status: explained(composition.status),
    search: explained(composition.search),
    find: explained(lookup.find),
    deadLetters: explained(deadLetters.list),
    countDeadLetters: explained(deadLetters.count),
    deadLetter: explained(deadLetters.get),
    redrive: explained((signalId, { dryRun } = { dryRun: false }) =>
      dryRun ? deadLetters.wouldRedrive(signalId) : deadLetters.redrive(signalId, operator()),
    ),
    previewRedrive: explained(deadLetters.previewRedrive),
    exportDeadLetters: composition.exportDeadLetters,
    importDeadLetters: async (lines) => {
      await guard();
      return composition.importDeadLetters(lines);
    },
    discard: explained((signalId, reason) => deadLetters.discard(signalId, reason, operator())),
    expiring: explained(seekTokens.expiring),
    close: backend.close,
  };
};
