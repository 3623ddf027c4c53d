import { queueOptions } from '../../src/cli/processes/service.ts';
import type { Config } from '../../src/config/config.ts';
import type { Logger } from '../../src/observability/logger.ts';
import { type Backend, DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';
import { openEmbedded } from '../../src/queue/embedded/openEmbedded.ts';
import type { ConnectionProfile } from '../../src/queue/redis/connection.ts';
import { openRedis } from '../../src/queue/redis/openRedis.ts';

import { captureLogs } from './captureLogs.ts';
import { startRedis } from './redisServer.ts';

const DAY_MS = 86_400_000;

/** What the queue runs on. Started once per test file. */
export type Platform = {
  /** Opens the queue as one process does. */
  open: (config: Config, profile: ConnectionProfile, logger: Logger) => Backend;
  /** Empties the queue. Called before each test. */
  clear: () => Promise<void>;
  stop: () => Promise<void>;
};

export const onRedis = async (): Promise<Platform> => {
  const redis = await startRedis();
  let queues = 0;

  return {
    open: (config, profile, logger) =>
      openRedis({
        ...queueOptions(config),
        url: redis.url,
        prefix: `{test-${queues}}`,
        profile,
        logger,
      }),
    clear: async () => {
      queues += 1;
    },
    stop: redis.stop,
  };
};

/**
 * In memory, and shared by all tests of a file because it takes seconds to open. `clear` keeps its dedupe
 * records, so each test needs new tokens.
 */
export const onEmbedded = async (): Promise<Platform> => {
  const { logger } = captureLogs();
  const shared = await openEmbedded({
    folder: undefined,
    logger,
    dedupeWindowMs: DAY_MS,
    keepDeliveredMs: DAY_MS,
  });

  return {
    open: () => ({ ...shared, close: async () => {} }),
    clear: async () => {
      for (const name of [SIGNALS, DEAD_LETTERS] as const) {
        await (await shared.bullQueue(name)).obliterate({ force: true });
      }
    },
    stop: shared.close,
  };
};

/** For `describe.each`: both backends must behave alike. */
export const PLATFORMS = [
  { name: 'Redis', start: onRedis },
  { name: 'the embedded queue', start: onEmbedded },
];
