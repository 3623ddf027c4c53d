import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from '../logging.ts';

const COMMAND_TIMEOUT_MS = 2_000;
const LOG_EVERY_MS = 10_000;

/**
 * `fail-fast` for whoever answers a caller: an error soon beats a hang. `patient` for workers, whose
 * blocking commands wait by design and who have nobody to tell.
 */
export type Temper = 'fail-fast' | 'patient';

const retryStrategy = (times: number): number => Math.min(times * 50, 500);

const OPTIONS = {
  'fail-fast': { maxRetriesPerRequest: 1, commandTimeout: COMMAND_TIMEOUT_MS, retryStrategy },
  patient: { maxRetriesPerRequest: null, retryStrategy },
} satisfies Record<Temper, RedisOptions>;

/** Connects by itself, and again after every loss. */
export const connectRedis = (url: string, temper: Temper, logger: Logger): Redis => {
  const client = new Redis(url, OPTIONS[temper]);
  let quietUntil = 0;
  let lost = false;

  client.on('error', (err: NodeJS.ErrnoException) => {
    if (Date.now() < quietUntil) return;
    quietUntil = Date.now() + LOG_EVERY_MS;
    lost = true;
    logger.error({ code: err.code, reason: err.message }, 'Redis is not reachable');
  });
  client.on('ready', () => {
    if (lost) logger.info('Redis is reachable again');
    lost = false;
    quietUntil = 0;
  });

  return client;
};
