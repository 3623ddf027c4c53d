import { userInfo } from 'node:os';
import * as z from 'zod';

import { type Config, ConfigError } from '../../config/config.ts';
import { createLogger } from '../../observability/logger.ts';
import { toResults } from '../../producer/enqueue.ts';
import { createSearch } from '../../producer/search.ts';
import { readLock } from '../../queue/embedded/folderLock.ts';
import { withDeadline } from '../../runtime/async.ts';
import { type Composition, compose } from '../compose.ts';
import { describeConnectionError, guardRedis } from '../processes/guardRedis.ts';
import { openRedisBackend } from '../processes/service.ts';
import type { AdminClient } from './adminClient.ts';
import { createHttpAdminClient } from './httpAdminClient.ts';

const RunningDev = z.object({ apiUrl: z.string(), apiKey: z.string() });

/** Redis itself where `REDIS_URL` is set; otherwise the API of a `dev` that runs in this folder. */
export const openAdminClient = async (config: Config): Promise<AdminClient> => {
  if (config.REDIS_URL !== undefined)
    return openRedisDesk({ ...config, REDIS_URL: config.REDIS_URL });
  const running = RunningDev.safeParse(await readLock(config.EMBEDDED_PATH));
  if (running.success) return createHttpAdminClient(running.data);
  throw new ConfigError(
    `REDIS_URL is not set, and no "seek-signals dev" runs on ${config.EMBEDDED_PATH}: set it, or start one`,
  );
};

const ANSWER_WITHIN_MS = 5_000;
// In place of an API key's name.
const SENDER = 'send';
// The same for who redrives: a person, by the name that the machine knows.
const operator = (): string => `cli:${userName()}`;

const userName = (): string => {
  try {
    return userInfo().username;
  } catch {
    // A container's user may have none.
    return 'unknown';
  }
};

/**
 * Connects to Redis for one command, and builds on it what the command uses. The caller closes the
 * backend. Rejects if Redis does not answer, or refuses the connection.
 */
export const reachRedis = async (config: Config<'REDIS_URL'>): Promise<Composition> => {
  // Standard output holds the answer alone; errors are thrown, and printed on standard error.
  const logger = createLogger({ level: 'silent' });
  const backend = openRedisBackend(config, 'fail-fast', logger);
  const silent = () => new Error('The Redis of REDIS_URL does not answer');
  try {
    await withDeadline(backend.ping(), ANSWER_WITHIN_MS, silent);
  } catch (err) {
    const { refusal, lastError } = describeConnectionError(err, backend, config.REDIS_URL);
    await backend.close();
    const why = refusal ?? lastError;
    throw new Error(`${silent().message}${why === undefined ? '' : `: ${why}`}`);
  }
  return compose(config, backend, logger);
};

const openRedisDesk = async (config: Config<'REDIS_URL'>): Promise<AdminClient> => {
  const composition = await reachRedis(config);
  const { backend, lookup, findSignals, deadLetters, seekTokens } = composition;
  const enqueue = await composition.openEnqueue();
  let guarding: Promise<unknown> | undefined;
  const guard = (): Promise<unknown> => {
    guarding ??= guardRedis(composition, config.ALLOW_UNSAFE_REDIS);
    return guarding;
  };

  return {
    enqueue: async (signals) => {
      await guard();
      return toResults(await enqueue(signals, { from: SENDER }));
    },
    status: composition.status,
    search: createSearch({ find: lookup.find, findSignals }),
    find: lookup.find,
    deadLetters: deadLetters.list,
    countLetters: deadLetters.count,
    deadLetter: deadLetters.get,
    redrive: (signalId, { dryRun } = { dryRun: false }) =>
      dryRun ? deadLetters.wouldRedrive(signalId) : deadLetters.redrive(signalId, operator()),
    previewRedrive: deadLetters.previewRedrive,
    exportDeadLetters: composition.exportDeadLetters,
    importDeadLetters: async (lines) => {
      await guard();
      return composition.importDeadLetters(lines);
    },
    discard: (signalId, reason) => deadLetters.discard(signalId, reason, operator()),
    expiring: seekTokens.expiring,
    close: backend.close,
  };
};
