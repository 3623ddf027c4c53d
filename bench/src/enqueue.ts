import { once } from 'node:events';

import { KEY, startApi } from './api.js';
import { start, startRedis } from './processes.js';

const COUNT = 20_000;

/** Measures the signals accepted per second by one method of `enqueueRates`. */
export const measureEnqueue = async (method: string): Promise<number> => {
  const redis = await startRedis();
  const api = method === 'http' ? await startApi(redis.url) : undefined;
  const apiArgs = api === undefined ? [] : [api.url, KEY];
  const sender = start('enqueueRates', [method, redis.url, COUNT, ...apiArgs]);
  const [message]: { perSecond: number }[] = await once(sender.child, 'message');
  await sender.ended;
  await api?.stop();
  await redis.stop();
  return message?.perSecond ?? Number.NaN;
};
