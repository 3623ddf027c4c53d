import type { Redis } from 'ioredis';

import type { Finding, MemoryUse } from './backend.ts';
import { judgeRedis } from './redisSafety.ts';

/** Looks at a Redis as a place to keep signals. Rejects if it can't be asked at all. */
export const inspectRedis = async (client: Redis, waitReplicas: number): Promise<Finding[]> => {
  const [info, config, clockAheadMs] = await Promise.all([
    ifAllowed(client.info()),
    ifAllowed(client.config('GET', 'appendfsync')),
    ifAllowed(readClock(client)),
  ]);
  const appendfsync = Array.isArray(config) ? config[1] : undefined;
  return judgeRedis(
    {
      ...(info === undefined ? {} : { info: parseInfo(info) }),
      ...(typeof appendfsync === 'string' ? { appendfsync } : {}),
      ...(clockAheadMs === undefined ? {} : { clockAheadMs }),
    },
    waitReplicas,
  );
};

/** How many bytes a Redis holds, and how many it may; a `limit` of 0: as many as the machine has. */
export const readMemoryUse = async (client: Redis): Promise<MemoryUse | undefined> => {
  const info = await ifAllowed(client.info('memory'));
  if (info === undefined) return undefined;
  const { used_memory: used, maxmemory: limit } = parseInfo(info);
  return used === undefined || limit === undefined
    ? undefined
    : { used: Number(used), limit: Number(limit) };
};

// Hosted ones often refuse CONFIG, by ACL or as if there were no such command.
const ifAllowed = async <Answer>(asking: Promise<Answer>): Promise<Answer | undefined> => {
  try {
    return await asking;
  } catch (err) {
    if (err instanceof Error && /NOPERM|unknown command/i.test(err.message)) return undefined;
    throw err;
  }
};

const readClock = async (client: Redis): Promise<number> => {
  const asked = Date.now();
  const [seconds, microseconds] = await client.time();
  // It was read somewhere between question and answer.
  return Number(seconds) * 1000 + Number(microseconds) / 1000 - (asked + Date.now()) / 2;
};

const parseInfo = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/^([^#:\r\n]+):(.*?)\r?$/gm)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  );
