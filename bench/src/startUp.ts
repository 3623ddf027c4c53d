import { KEY, untilReady } from './api.js';
import { clock } from './payload.js';
import { freePort, startCommand, startRedis, startSeek } from './processes.js';

export const COMMANDS = ['api', 'worker', 'board'] as const;

/** The time from the start of a process until it is ready, in ms. */
export const measureStartUp = async (command: string): Promise<number> => {
  const [redis, seek, port] = await Promise.all([startRedis(), startSeek(0), freePort()]);
  const ports = { API_PORT: String(port), BOARD_PORT: String(port), METRICS_PORT: String(port) };
  const startedAt = clock();
  const started = startCommand([command], {
    ...ports,
    REDIS_URL: redis.url,
    API_KEYS: `bench:${KEY}`,
    SEEK_CLIENT_ID: 'bench',
    SEEK_CLIENT_SECRET: 'bench',
    SEEK_API_URL: `${seek.url}/graphql`,
    SEEK_AUTH_URL: `${seek.url}/oauth/token`,
    BOARD_USERNAME: 'bench',
    BOARD_PASSWORD: 'bench-password',
  });
  await untilReady(`http://127.0.0.1:${port}`);
  const durationMs = clock() - startedAt;
  await started.stop('SIGKILL');
  await Promise.all([seek.stop('SIGKILL'), redis.stop()]);
  return durationMs;
};
