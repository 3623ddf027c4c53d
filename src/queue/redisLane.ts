import type { Redis } from 'ioredis';

import { type LaneStore, parseLaneState, SLOT_HORIZON_MS } from './laneState.ts';

// What is no JSON object was not written by us, and counts as nothing: bytes that are no text would
// come back changed, and could never be replaced.
const STORED = `
local stored = redis.call('GET', KEYS[1]) or ''
if string.sub(stored, 1, 1) ~= '{' then stored = '' end`;

// All by the clock of Redis: those of the workers differ.
const READ = `${STORED}
local time = redis.call('TIME')
return { stored, time[1] * 1000 + math.floor(time[2] / 1000) }`;

const REPLACE = `${STORED}
if stored ~= ARGV[1] then return 0 end
-- A Redis without memory lets a script finish whose first write frees some.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2])
return 1`;

// Microseconds, for at a thousand a second a slot is as short as a clock tick.
const TAKE_SLOT = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local slot = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0) or 0)
-- Nobody takes one that far ahead: the clock was set back.
if slot - now > 5000000 + 1000000 / ARGV[1] then slot = now end
local beyond = slot - now - ARGV[2] * 1000
if beyond > 0 then return -math.ceil(beyond / 1000) end
local nextSlot = slot + math.floor(1000000 / ARGV[1])
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], string.format('%.0f', nextSlot), 'PX', math.ceil((nextSlot - now) / 1000) + 1000)
return math.ceil((slot - now) / 1000)`;

/** The lane's state in Redis, under `PREFIX:lane`. */
export const createRedisLane = (client: Redis, prefix: string): LaneStore => {
  const [key, slots] = [`${prefix}:lane`, `${prefix}:lane:slots`];

  return {
    read: async () => {
      const answer = await client.eval(READ, 1, key);
      const [text, now] = Array.isArray(answer) ? answer : [];
      const version = String(text ?? '');
      return { state: parseLaneState(version), now: Number(now), version };
    },
    replace: async (version, state) =>
      (await client.eval(REPLACE, 1, key, version, JSON.stringify(state))) === 1,
    takeSlot: async (perSecond) =>
      Number(await client.eval(TAKE_SLOT, 1, slots, perSecond, SLOT_HORIZON_MS)),
  };
};
