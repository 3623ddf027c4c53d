import type { Redis } from 'ioredis';
import type { SignalLife } from '../schemas/states.ts';
import { type Claim, DEAD_LETTERS, type Ledger, type Remembered, SIGNALS } from './backend.ts';
import { hoursOfLastDay, PENDING_MS } from './ledgerTimes.ts';
import { runPipeline } from './runPipeline.ts';

// One step, so that of many callers with the same signal exactly one finds nothing. What is about to
// be queued is listed as unsent first: a worker may be done with it before we hear of the add.
const CLAIM = `
local known = redis.call('GET', KEYS[1])
local queued, buried = redis.call('EXISTS', KEYS[2]), redis.call('EXISTS', KEYS[3])
if queued + buried == 0 and string.sub(known or 'pending', 1, 7) == 'pending' then
  if not known then redis.call('SET', KEYS[1], 'pending ' .. ARGV[1], 'PX', ARGV[2]) end
  redis.call('ZADD', KEYS[4], 'NX', ARGV[3], ARGV[4])
end
return { known or '', queued, buried }`;

// Who turns the claim into an acceptance is the first; everybody after finds it accepted.
const CONFIRM = `
if string.sub(redis.call('GET', KEYS[1]) or '', 1, 8) == 'accepted' then return 0 end
redis.call('SET', KEYS[1], 'accepted ' .. ARGV[1], 'PX', ARGV[2])
return 1`;

type Options = {
  client: Redis;
  prefix: string;
  rememberMs: number;
  keepDeliveredMs: number;
  now?: () => number;
};

export const createRedisLedger = ({
  client,
  prefix,
  rememberMs,
  keepDeliveredMs,
  now = Date.now,
}: Options): Ledger => {
  const remembered = (id: string) => `${prefix}:ledger:remembered:${id}`;
  const skipped = (id: string) => `${prefix}:ledger:skipped:${id}`;
  const settled = (hour: number) => `${prefix}:ledger:settled:${hour}`;
  // As long as the signal is remembered, too: its duplicates are told what became of it.
  const keepSkippedMs = Math.max(keepDeliveredMs, rememberMs);
  const unsent = `${prefix}:ledger:unsent`;

  return {
    claim: async (entries, acceptedAt) => {
      const pipeline = client.pipeline();
      for (const { signalId, contentId } of entries) {
        const keys = [
          remembered(signalId),
          `${prefix}:${SIGNALS}:${signalId}`,
          `${prefix}:${DEAD_LETTERS}:${signalId}`,
          unsent,
        ];
        pipeline.eval(CLAIM, keys.length, ...keys, contentId, PENDING_MS, acceptedAt, signalId);
      }
      return (await runPipeline(pipeline)).map(toClaim);
    },

    recall: async (signalId) => toRemembered(await client.get(remembered(signalId))),

    confirm: async (entries) => {
      const pipeline = client.pipeline();
      for (const { signalId, contentId, acceptedAt } of entries) {
        const ttlMs = Math.max(1, acceptedAt + rememberMs - now());
        pipeline.eval(CONFIRM, 1, remembered(signalId), contentId, ttlMs);
      }
      return (await runPipeline(pipeline)).map((first) => first === 1);
    },

    markUnsent: async ({ signalId, acceptedAt }) => {
      await client.zadd(unsent, acceptedAt, signalId);
    },

    settle: async (entries) => {
      if (entries.length === 0) return;
      const [hour] = hoursOfLastDay(now());
      const pipeline = client.pipeline();
      pipeline.zrem(unsent, ...entries.map(({ signalId }) => signalId));
      for (const { signalId, outcome, life } of entries) {
        pipeline.hincrby(settled(hour), outcome, 1);
        if (life) pipeline.set(skipped(signalId), JSON.stringify(life), 'PX', rememberMs);
      }
      const sent = entries.filter(({ outcome }) => outcome !== 'skipped');
      if (sent.length > 0) pipeline.del(...sent.map(({ signalId }) => skipped(signalId)));
      pipeline.expire(settled(hour), 26 * 3600);
      await runPipeline(pipeline);
    },

    strike: async (signalIds) => {
      if (signalIds.length > 0) await client.zrem(unsent, ...signalIds);
    },

    oldestUnsent: async (limit) => {
      const flat = await client.zrange(unsent, '0', String(limit - 1), 'WITHSCORES');
      return flat.flatMap((signalId, index) =>
        index % 2 === 0 ? [{ signalId, acceptedAt: Number(flat[index + 1]) }] : [],
      );
    },

    settledLately: async () => {
      const pipeline = client.pipeline();
      for (const hour of hoursOfLastDay(now())) {
        pipeline.hmget(settled(hour), 'delivered', 'skipped');
      }
      const rows = (await runPipeline(pipeline)).map((row) => (Array.isArray(row) ? row : []));
      const sum = (column: number) => rows.reduce((total, row) => total + Number(row[column]), 0);
      return { delivered: sum(0), skipped: sum(1) };
    },

    keepSkipped: async (life) => {
      await client.set(skipped(life.signalId), JSON.stringify(life), 'PX', keepSkippedMs);
    },

    dropSkipped: async (signalId) => {
      await client.del(skipped(signalId));
    },

    findSkipped: async (signalId) => {
      const text = await client.get(skipped(signalId));
      const life: SignalLife | undefined = text === null ? undefined : JSON.parse(text);
      return life;
    },
  };
};

const toRemembered = (text: string | null): Remembered | undefined => {
  if (!text) return undefined;
  const [standing, contentId = ''] = text.split(' ');
  return { contentId, accepted: standing === 'accepted' };
};

const toClaim = (row: unknown): Claim => {
  const [known, queued, buried] = Array.isArray(row) ? row : [];
  const remembered = toRemembered(String(known));
  return {
    ...(remembered === undefined ? {} : { remembered }),
    queued: queued === 1,
    buried: buried === 1,
  };
};
