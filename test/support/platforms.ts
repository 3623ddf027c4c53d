import { queueOptions } from '../../src/cli/processes/service.ts';
import type { Config } from '../../src/config/config.ts';
import type { Logger } from '../../src/observability/logger.ts';
import { type Backend, DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';
import { openEmbedded } from '../../src/queue/embedded/openEmbedded.ts';
import type { ConnectionProfile } from '../../src/queue/redis/connection.ts';
import { openRedis } from '../../src/queue/redis/openRedis.ts';

import { captureLogs } from './captureLogs.ts';
import { startRedis } from './redisServer.ts';

/** What the queue runs on, once for a file of tests. */
export type Platform = {
  /** A process's own way to the queue. */
  open: (config: Config, profile: ConnectionProfile, logger: Logger) => Backend;
  /** Before each test: an empty queue. */
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
        ...{ url: redis.url, prefix: `{test-${queues}}`, profile, logger },
      }),
    clear: async () => {
      queues += 1;
    },
    stop: redis.stop,
  };
};

/** In memory, and one for all: it takes seconds to open. The ledger's past stays: use new tokens. */
export const onEmbedded = async (): Promise<Platform> => {
  const { logger } = captureLogs();
  const keep = 86_400_000;
  const shared = await openEmbedded({
    ...{ folder: undefined, logger, dedupeWindowMs: keep, keepDeliveredMs: keep },
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

/** For `describe.each`: what holds on one must hold on the other. */
export const PLATFORMS = [
  { name: 'Redis', start: onRedis },
  { name: 'the embedded queue', start: onEmbedded },
];
