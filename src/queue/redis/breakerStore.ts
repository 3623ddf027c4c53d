import type { Redis } from 'ioredis';

import { type BreakerStore, parseBreakerState, SLOT_HORIZON_MS } from '../breakerState.ts';
import { defineScript } from './commands.ts';

/** The lane's state in Redis, under `PREFIX:lane`. */
export const createRedisBreakerStore = (client: Redis, prefix: string): BreakerStore => {
  const [key, slots] = [`${prefix}:circuit-breaker`, `${prefix}:circuit-breaker:slots`];
  const readBreaker = defineScript(client, 'readBreaker');
  const replaceBreaker = defineScript(client, 'replaceBreaker');
  const reserveSlot = defineScript(client, 'reserveSlot');

  return {
    read: async () => {
      const answer = await readBreaker([key], []);
      const [text, now] = Array.isArray(answer) ? answer : [];
      const version = String(text ?? '');
      return { state: parseBreakerState(version), now: Number(now), version };
    },
    replace: async (version, state) =>
      (await replaceBreaker([key], [version, JSON.stringify(state)])) === 1,
    reserveSlot: async (perSecond) =>
      Number(await reserveSlot([slots], [perSecond, SLOT_HORIZON_MS])),
  };
};
