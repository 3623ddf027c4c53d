import { type Config, ConfigError } from '../config.ts';
import { serve } from '../serve.ts';
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
  const port = config.METRICS_PORT ?? METRICS_PORT;

  const server = await serve(probes, { host, port }).catch((err: NodeJS.ErrnoException) => {
    if (err.code !== 'EADDRINUSE') throw err;
    if (config.METRICS_PORT !== undefined) {
      throw new ConfigError(`METRICS_PORT ${port} is in use on ${host}`);
    }
    logger.warn({ port }, 'Metrics port in use; taking another');
    return serve(probes, { host, port: 0 });
  });
  closers.add('probes', () => server.close(ANSWERED_WITHIN_MS));
  return server.url;
};
