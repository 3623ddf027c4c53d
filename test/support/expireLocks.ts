import type { Redis } from 'ioredis';

/**
 * Expires the locks of killed workers. BullMQ returns their jobs to the queue only after the locks expire
 * and two stalled checks have run, up to a minute. After this call the next worker takes them at once.
 */
export const expireLocks = async (client: Redis, prefix: string, queue: string): Promise<void> => {
  const base = `${prefix}:${queue}`;
  const held = await client.lrange(`${base}:active`, 0, -1);
  await client.del(`${base}:stalled-check`, ...held.map((id) => `${base}:${id}:lock`));
  if (held.length > 0) await client.sadd(`${base}:stalled`, ...held);
};
