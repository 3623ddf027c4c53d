import type { Redis } from 'ioredis';

import type { PositionStore } from '../backend.ts';

/** Positions in Redis, under `PREFIX:positions:ID`. They do not expire: a position may stay open for years. */
export const createRedisPositionStore = (client: Redis, prefix: string): PositionStore => {
  const keyOf = (positionId: string) => `${prefix}:positions:${positionId}`;

  return {
    read: async (positionId) => (await client.get(keyOf(positionId))) ?? undefined,
    write: async (positionId, text) => {
      await client.set(keyOf(positionId), text);
    },
    remove: async (positionId) => {
      await client.del(keyOf(positionId));
    },
  };
};
