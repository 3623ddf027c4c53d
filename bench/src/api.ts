import { freePort, startCommand } from './processes.js';

export const KEY = 'bench-key';

/** Polls a process until it is ready. */
export const untilReady = async (url: string): Promise<void> => {
  const isReady = () =>
    fetch(`${url}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isReady())) await new Promise((resolve) => setTimeout(resolve, 5));
};

/** Starts the HTTP API on a Redis, and waits until it is ready. */
export const startApi = async (redisUrl: string) => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { REDIS_URL: redisUrl, API_PORT: String(port), API_KEYS: `bench:${KEY}` };
  const api = startCommand(['api'], env);
  await untilReady(url);
  return { ...api, url };
};
