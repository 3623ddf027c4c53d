import type { Redis } from 'ioredis';

/**
 * What a killed worker holds comes free when its locks have run out, and the workers have looked
 * twice: up to a minute. Here that minute has passed, and the next worker to start looks at once.
 */
export const runOutLocks = async (client: Redis, prefix: string, queue: string): Promise<void> => {
  const base = `${prefix}:${queue}`;
  const held = await client.lrange(`${base}:active`, 0, -1);
  await client.del(`${base}:stalled-check`, ...held.map((id) => `${base}:${id}:lock`));
  if (held.length > 0) await client.sadd(`${base}:stalled`, ...held);
};
