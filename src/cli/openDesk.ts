import { userInfo } from 'node:os';
import * as z from 'zod';

import { type Config, ConfigError } from '../config.ts';
import { withDeadline } from '../deadline.ts';
import { createLogger } from '../logging.ts';
import { toResults } from '../producer/enqueue.ts';
import { createSearch } from '../producer/search.ts';
import type { Backend } from '../queue/backend.ts';
import { createDeadLetters } from '../queue/deadLetters.ts';
import { createExportLetters } from '../queue/exportLetters.ts';
import { createFindSignals } from '../queue/findSignals.ts';
import { readLock } from '../queue/folderLock.ts';
import { createImportLetters } from '../queue/importLetters.ts';
import { createQueueStatus } from '../queue/queueStatus.ts';
import { openSeekTokens } from '../queue/seekTokens.ts';
import { createSignalLives } from '../queue/signalLives.ts';
import type { Desk } from './desk.ts';
import { guardRedis } from './guardRedis.ts';
import { createHttpDesk } from './httpDesk.ts';
import { openEnqueue } from './openEnqueue.ts';
import { openRedisBackend } from './service.ts';
import { whyAway } from './whyAway.ts';

const RunningDev = z.object({ apiUrl: z.string(), apiKey: z.string() });

/** Redis itself where `REDIS_URL` is set; otherwise the API of a `dev` that runs in this folder. */
export const openDesk = async (config: Config): Promise<Desk> => {
  if (config.REDIS_URL !== undefined)
    return openRedisDesk({ ...config, REDIS_URL: config.REDIS_URL });
  const running = RunningDev.safeParse(await readLock(config.EMBEDDED_PATH));
  if (running.success) return createHttpDesk(running.data);
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
// Standard output is for the answer; what goes wrong is thrown, and told on standard error.
const noLogger = () => createLogger({ level: 'silent' });

/** The queue in Redis for one piece of work. Rejects where Redis is not there, or refuses. */
export const reachRedis = async (config: Config<'REDIS_URL'>): Promise<Backend> => {
  const backend = openRedisBackend(config, 'fail-fast', noLogger());
  const silent = () => new Error('The Redis of REDIS_URL does not answer');
  try {
    await withDeadline(backend.ping(), ANSWER_WITHIN_MS, silent);
  } catch (err) {
    const { refusal, trouble } = whyAway(err, backend, config.REDIS_URL);
    await backend.close();
    const why = refusal ?? trouble;
    throw new Error(`${silent().message}${why === undefined ? '' : `: ${why}`}`);
  }
  return backend;
};

const openRedisDesk = async (config: Config<'REDIS_URL'>): Promise<Desk> => {
  const backend = await reachRedis(config);
  const deadLetters = createDeadLetters({ backend });
  const lives = createSignalLives(backend);
  const queue = { backend, logger: noLogger() };
  const enqueue = openEnqueue(queue, config);
  let guarding: Promise<unknown> | undefined;
  const guard = (): Promise<unknown> => {
    guarding ??= guardRedis(queue, config.ALLOW_UNSAFE_REDIS);
    return guarding;
  };
  const { tokens } = openSeekTokens(backend.tokens, config);
  const importLetters = createImportLetters({ backend, lives, isErased: tokens.isErased });

  return {
    enqueue: async (signals) => {
      await guard();
      return toResults(await enqueue(signals, { from: SENDER }));
    },
    status: createQueueStatus(backend),
    search: createSearch({ find: lives.find, findSignals: createFindSignals({ backend, lives }) }),
    find: lives.find,
    letters: deadLetters.list,
    countLetters: deadLetters.count,
    letter: deadLetters.get,
    redrive: (signalId, { dryRun } = { dryRun: false }) =>
      dryRun ? deadLetters.wouldRedrive(signalId) : deadLetters.redrive(signalId, operator()),
    rehearse: deadLetters.rehearse,
    exportLetters: createExportLetters(backend),
    importLetters: async (lines) => {
      await guard();
      return importLetters(lines);
    },
    discard: (signalId, reason) => deadLetters.discard(signalId, reason, operator()),
    expiring: tokens.expiring,
    close: backend.close,
  };
};
