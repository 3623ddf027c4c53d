import { KEY, untilReady } from './api.js';
import { clock } from './payload.js';
import { freePort, startCommand, startRedis, startSeek } from './processes.js';

export const COMMANDS = ['api', 'worker', 'board'] as const;

/** From the start of a process until it says that it is ready, in ms. */
export const measureStartUp = async (command: string): Promise<number> => {
  const [redis, seek, port] = await Promise.all([startRedis(), startSeek(0), freePort()]);
  const ports = { API_PORT: String(port), BOARD_PORT: String(port), METRICS_PORT: String(port) };
  const began = clock();
  const started = startCommand([command], {
    ...{ REDIS_URL: redis.url, API_KEYS: `bench:${KEY}`, ...ports },
    ...{ SEEK_CLIENT_ID: 'bench', SEEK_CLIENT_SECRET: 'bench' },
    ...{ SEEK_API_URL: `${seek.url}/graphql`, SEEK_AUTH_URL: `${seek.url}/oauth/token` },
    ...{ BOARD_USERNAME: 'bench', BOARD_PASSWORD: 'bench-password' },
  });
  await untilReady(`http://127.0.0.1:${port}`);
  const took = clock() - began;
  await started.stop('SIGKILL');
  await Promise.all([seek.stop('SIGKILL'), redis.stop()]);
  return took;
};
