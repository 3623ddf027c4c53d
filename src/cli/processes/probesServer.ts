import { type Config, ConfigError } from '../../config/config.ts';
import type { Logger } from '../../observability/logger.ts';
import { hasCode } from '../../runtime/errors.ts';
import { serve } from '../../runtime/httpServer.ts';
import type { Service } from './service.ts';

const METRICS_PORT = 9464;
// Nobody's signal hangs on an answer.
const ANSWERED_WITHIN_MS = 1_000;

/**
 * Health and metrics of a process that serves nothing else. Several on one machine want the same port: only one that
 * was set by hand is insisted on.
 */
export const serveProbes = async ({ probes, closers, logger }: Service, config: Config) => {
  if (config.METRICS_PORT === 0) return undefined;
  const host = config.METRICS_HOST;
  const start = (free: number) => serve(probes, { host, port: free });
  const server = await (config.METRICS_PORT === undefined
    ? onFreePort(start, METRICS_PORT, logger)
    : onPort(start, config.METRICS_PORT, 'METRICS_PORT'));
  closers.add('probes', () => server.close(ANSWERED_WITHIN_MS));
  return server.url;
};

type Start<Server> = (port: number) => Promise<Server>;

/** Takes `port`, or any free one if somebody else has it. */
export const onFreePort = async <Server>(
  start: Start<Server>,
  port: number,
  logger: Logger,
): Promise<Server> =>
  start(port).catch((err: unknown) => {
    if (!isTaken(err)) throw err;
    logger.warn({ port }, 'Port in use; taking another');
    return start(0);
  });

/** Takes `port`, or says by which variable it is to be changed. */
export const onPort = async <Server>(
  start: Start<Server>,
  port: number,
  variable: string,
): Promise<Server> =>
  start(port).catch((err: unknown) => {
    throw isTaken(err) ? new ConfigError(`${variable} ${port} is in use`) : err;
  });

const isTaken = (err: unknown): boolean => hasCode(err, 'EADDRINUSE');
