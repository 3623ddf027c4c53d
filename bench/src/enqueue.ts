import { once } from 'node:events';

import { freePort, start, startCommand, startRedis } from './processes.js';

const COUNT = 20_000;
const KEY = 'bench-key';

const startApi = async (redisUrl: string) => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { REDIS_URL: redisUrl, API_PORT: String(port), API_KEYS: `bench:${KEY}` };
  const api = startCommand(['api'], env);
  while (
    !(await fetch(`${url}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { api, url };
};

/** Signals accepted a second, in one of the ways of `enqueueRates`. */
export const measureEnqueue = async (how: string): Promise<number> => {
  const redis = await startRedis();
  const served = how === 'http' ? await startApi(redis.url) : undefined;
  const more = served === undefined ? [] : [served.url, KEY];
  const sender = start('enqueueRates', [how, redis.url, COUNT, ...more]);
  const [message]: { perSecond: number }[] = await once(sender.child, 'message');
  await sender.ended;
  await served?.api.stop();
  await redis.stop();
  return message?.perSecond ?? Number.NaN;
};
