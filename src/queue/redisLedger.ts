import type { Redis } from 'ioredis';
import type { SignalLife } from '../schemas/states.ts';
import {
  type Claim,
  DEAD_LETTERS,
  type Ledger,
  type Remembered,
  type Settled,
  SIGNALS,
} from './backend.ts';
import { hoursOfLastDay, PENDING_MS } from './ledgerTimes.ts';
import { createScript, inSlices } from './redisScript.ts';
import { runPipeline } from './runPipeline.ts';

// One step, so that of many callers with the same signal exactly one finds nothing. What is about to
// be queued is listed as unsent first: a worker may be done with it before we hear of the add.
const CLAIM = `
local answers = {}
for n = 1, (#KEYS - 1) / 3 do
  local remembered, job, letter = KEYS[3 * n - 1], KEYS[3 * n], KEYS[3 * n + 1]
  local signalId, contentId = ARGV[2 * n + 1], ARGV[2 * n + 2]
  local known = redis.call('GET', remembered)
  local queued, buried = redis.call('EXISTS', job), redis.call('EXISTS', letter)
  if queued + buried == 0 and string.sub(known or 'pending', 1, 7) == 'pending' then
    if not known then redis.call('SET', remembered, 'pending ' .. contentId, 'PX', ARGV[1]) end
    redis.call('ZADD', KEYS[1], 'NX', ARGV[2], signalId)
  end
  answers[n] = { known or '', queued, buried }
end
return answers`;

// Who turns the claim into an acceptance is the first; everybody after finds it accepted.
const CONFIRM = `
local firsts = {}
for n = 1, #KEYS / 2 do
  local remembered, skipped = KEYS[2 * n - 1], KEYS[2 * n]
  local contentId, ttlMs = ARGV[2 * n - 1], ARGV[2 * n]
  if string.sub(redis.call('GET', remembered) or '', 1, 8) == 'accepted' then
    firsts[n] = 0
  else
    redis.call('SET', remembered, 'accepted ' .. contentId, 'PX', ttlMs)
    redis.call('PEXPIRE', skipped, ttlMs)
    firsts[n] = 1
  end
end
return firsts`;

const REOPEN = `
if ARGV[5] == '' then
  if redis.call('EXISTS', KEYS[2]) == 1 or redis.call('EXISTS', KEYS[6]) == 0 then return 0 end
else
  local finishedAt = redis.call('ZSCORE', KEYS[4], ARGV[4])
  if not finishedAt or tonumber(finishedAt) ~= tonumber(ARGV[5]) then return 0 end
  redis.call('ZREM', KEYS[4], ARGV[4])
  redis.call('DEL', KEYS[2], KEYS[3])
end
redis.call('DEL', KEYS[6])
redis.call('SET', KEYS[1], 'pending ' .. ARGV[1], 'PX', ARGV[2])
redis.call('ZADD', KEYS[5], ARGV[3], ARGV[4])
return 1`;

const KEEP_SKIPPED = `
local left = math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[2]))
redis.call('SET', KEYS[2], ARGV[1], 'PX', left)`;

/** Where the record of a skipped signal lies. */
export const skippedKey = (prefix: string, signalId: string): string =>
  `${prefix}:ledger:skipped:${signalId}`;

type Options = {
  client: Redis;
  prefix: string;
  rememberMs: number;
  now?: () => number;
};

export const createRedisLedger = ({
  client,
  prefix,
  rememberMs,
  now = Date.now,
}: Options): Ledger => {
  const remembered = (id: string) => `${prefix}:ledger:remembered:${id}`;
  const skipped = (id: string) => skippedKey(prefix, id);
  const settled = (hour: number) => `${prefix}:ledger:settled:${hour}`;
  const unsent = `${prefix}:ledger:unsent`;
  const claim = createScript(client, CLAIM);
  const confirm = createScript(client, CONFIRM);

  return {
    claim: async (entries, acceptedAt) => {
      const claims = await inSlices(entries, (slice) =>
        claim(
          [
            unsent,
            ...slice.flatMap(({ signalId }) => [
              remembered(signalId),
              `${prefix}:${SIGNALS}:${signalId}`,
              `${prefix}:${DEAD_LETTERS}:${signalId}`,
            ]),
          ],
          [
            ...[PENDING_MS, acceptedAt],
            ...slice.flatMap(({ signalId, contentId }) => [signalId, contentId]),
          ],
        ),
      );
      return claims.map(toClaim);
    },

    recall: async (signalId) => toRemembered(await client.get(remembered(signalId))),

    confirm: async (entries) => {
      const ttlMs = (acceptedAt: number) => Math.max(1, acceptedAt + rememberMs - now());
      const firsts = await inSlices(entries, (slice) =>
        confirm(
          slice.flatMap(({ signalId }) => [remembered(signalId), skipped(signalId)]),
          slice.flatMap(({ contentId, acceptedAt }) => [contentId, ttlMs(acceptedAt)]),
        ),
      );
      return firsts.map((first) => first === 1);
    },

    markUnsent: async ({ signalId, acceptedAt }) => {
      await client.zadd(unsent, acceptedAt, signalId);
    },

    settle: async (entries) => {
      if (entries.length === 0) return;
      const [hour] = hoursOfLastDay(now());
      const pipeline = client.pipeline();
      pipeline.zrem(unsent, ...entries.map(({ signalId }) => signalId));
      for (const [outcome, count] of countBy(entries)) {
        pipeline.hincrby(settled(hour), outcome, count);
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

    reopen: async ({ signalId, contentId, acceptedAt }, finishedAt) => {
      const job = `${prefix}:${SIGNALS}:${signalId}`;
      const keys = [
        ...[remembered(signalId), job, `${job}:logs`, `${prefix}:${SIGNALS}:completed`],
        ...[unsent, skipped(signalId)],
      ];
      const values = [contentId, PENDING_MS, acceptedAt, signalId, finishedAt ?? ''];
      return (await client.eval(REOPEN, keys.length, ...keys, ...values)) === 1;
    },

    keepSkipped: async (life) => {
      const keys = [remembered(life.signalId), skipped(life.signalId)];
      await client.eval(KEEP_SKIPPED, keys.length, ...keys, JSON.stringify(life), PENDING_MS);
    },

    findSkipped: async (signalId) => {
      const text = await client.get(skipped(signalId));
      const life: SignalLife | undefined = text === null ? undefined : JSON.parse(text);
      return life;
    },
  };
};

const countBy = (entries: readonly Settled[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const { outcome } of entries) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return counts;
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
