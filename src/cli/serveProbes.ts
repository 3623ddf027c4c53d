import type { Config } from '../config.ts';
import { serve } from '../serve.ts';
import { onFreePort, onPort } from './ports.ts';
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
