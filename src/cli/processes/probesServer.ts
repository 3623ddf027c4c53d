import { Hono } from 'hono';
import { type Config, ConfigError } from '../../config/config.ts';
import type { Logger } from '../../observability/logger.ts';
import { hasCode } from '../../runtime/errors.ts';
import { serve } from '../../runtime/httpServer.ts';
import { answerOtherMethods } from '../../runtime/otherMethods.ts';
import type { Service } from './service.ts';

const DEFAULT_METRICS_PORT = 9464;
// Short, because no signal depends on the response to a probe.
const CLOSE_TIMEOUT_MS = 1_000;

/**
 * Serves health checks and metrics of a process that has no other HTTP server. Several processes on one machine
 * share the default port, so another free port replaces it. A port that is configured is never replaced.
 */
export const serveProbes = async ({ probes, closers, logger }: Service, config: Config) => {
  if (config.METRICS_PORT === 0) return undefined;
  const host = config.METRICS_HOST;
  const app = new Hono({ strict: false });
  app.use(answerOtherMethods(app));
  app.route('/', probes);
  const start = (port: number) => serve(app, { host, port });
  const server = await (config.METRICS_PORT === undefined
    ? onFreePort(start, DEFAULT_METRICS_PORT, logger)
    : onPort(start, config.METRICS_PORT, 'METRICS_PORT'));
  closers.add('probes', () => server.close(CLOSE_TIMEOUT_MS));
  return server.url;
};

type Start<Server> = (port: number) => Promise<Server>;

/** Starts on `port`, or on any free port if `port` is in use. */
export const onFreePort = async <Server>(
  start: Start<Server>,
  port: number,
  logger: Logger,
): Promise<Server> =>
  start(port).catch((err: unknown) => {
    if (!isPortInUse(err)) throw err;
    logger.warn({ port }, 'Port in use; taking another');
    return start(0);
  });

/** Starts on `port`. Throws a `ConfigError` that names the variable if `port` is in use. */
export const onPort = async <Server>(
  start: Start<Server>,
  port: number,
  variable: string,
): Promise<Server> =>
  start(port).catch((err: unknown) => {
    throw isPortInUse(err)
      ? new ConfigError(`${variable} ${port} is in use; set another port`)
      : err;
  });

const isPortInUse = (err: unknown): boolean => hasCode(err, 'EADDRINUSE');
