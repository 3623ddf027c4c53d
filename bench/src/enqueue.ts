import { once } from 'node:events';

import { KEY, startApi } from './api.js';
import { start, startRedis } from './processes.js';

const COUNT = 20_000;

/** Signals accepted a second, in one of the ways of `enqueueRates`. */
export const measureEnqueue = async (how: string): Promise<number> => {
  const redis = await startRedis();
  const served = how === 'http' ? await startApi(redis.url) : undefined;
  const more = served === undefined ? [] : [served.url, KEY];
  const sender = start('enqueueRates', [how, redis.url, COUNT, ...more]);
  const [message]: { perSecond: number }[] = await once(sender.child, 'message');
  await sender.ended;
  await served?.stop();
  await redis.stop();
  return message?.perSecond ?? Number.NaN;
};
