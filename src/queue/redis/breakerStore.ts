import type { Redis } from 'ioredis';

import { type BreakerStore, parseBreakerState, SLOT_HORIZON_MS } from '../breakerState.ts';
import { defineScript } from './commands.ts';

/** The circuit breaker's state in Redis, under `PREFIX:circuit-breaker`. */
export const createRedisBreakerStore = (client: Redis, prefix: string): BreakerStore => {
  const stateKey = `${prefix}:circuit-breaker`;
  const ratesKey = `${prefix}:circuit-breaker:rates`;
  const slotsKey = `${prefix}:circuit-breaker:slots`;
  const readBreaker = defineScript(client, 'readBreaker');
  const replaceBreaker = defineScript(client, 'replaceBreaker');
  const reserveSlot = defineScript(client, 'reserveSlot');

  return {
    read: async (sending) => {
      const values = sending === undefined ? [] : [sending.by, Math.round(sending.perSecond)];
      const answer = await readBreaker([stateKey, ratesKey], values);
      const [text, now, perSecond] = Array.isArray(answer) ? answer : [];
      const version = String(text ?? '');
      return {
        state: parseBreakerState(version),
        now: Number(now),
        version,
        perSecond: Number(perSecond),
      };
    },
    replace: async (version, state) =>
      (await replaceBreaker([stateKey], [version, JSON.stringify(state)])) === 1,
    reserveSlot: async (perSecond) =>
      Number(await reserveSlot([slotsKey], [perSecond, SLOT_HORIZON_MS])),
  };
};
