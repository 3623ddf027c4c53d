import type { Redis } from 'ioredis';

import { type LaneStore, parseLaneState, SLOT_HORIZON_MS } from '../breakerState.ts';
import { defineScript } from './commands.ts';

/** The lane's state in Redis, under `PREFIX:lane`. */
export const createRedisLane = (client: Redis, prefix: string): LaneStore => {
  const [key, slots] = [`${prefix}:lane`, `${prefix}:lane:slots`];
  const readBreaker = defineScript(client, 'readBreaker');
  const replaceBreaker = defineScript(client, 'replaceBreaker');
  const reserveSlot = defineScript(client, 'reserveSlot');

  return {
    read: async () => {
      const answer = await readBreaker([key], []);
      const [text, now] = Array.isArray(answer) ? answer : [];
      const version = String(text ?? '');
      return { state: parseLaneState(version), now: Number(now), version };
    },
    replace: async (version, state) =>
      (await replaceBreaker([key], [version, JSON.stringify(state)])) === 1,
    takeSlot: async (perSecond) => Number(await reserveSlot([slots], [perSecond, SLOT_HORIZON_MS])),
  };
};
