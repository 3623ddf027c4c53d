import type { Redis } from 'ioredis';

import type { Admission, Backend, NewJob } from './backend.ts';
import { createGather } from './gather.ts';
import { RETRY_OPTIONS } from './jobOptions.ts';
import { readMemory } from './memory.ts';
import { redisKeys } from './redisKeys.ts';
import { createScript } from './redisScript.ts';

// Nobody else is served while a script runs. Shorter ones let producer and Redis work at the same time.
const AT_ONCE = 50;

/**
 * One step, so that of many callers with the same signal exactly one is first, and is so for good. Jobs lie in Redis
 * as BullMQ 6.7.0 adds them, without the events that nobody here listens to.
 *
 * KEYS: wait, active, meta, marker; for each signal its memory, job and letter. ARGV: the options of a
 * job; for each signal its id, type, data, and when it was accepted. Answers with 1 for each that was
 * added, or with what is known of it.
 */
const ADMIT = `
local wait, active, meta, marker = unpack(KEYS, 1, 4)
local answers, added = {}, {}
for n = 1, (#KEYS - 4) / 3 do
  local remembered, job, letter = unpack(KEYS, 3 * n + 2, 3 * n + 4)
  local id, name, data, acceptedAt = unpack(ARGV, 4 * n - 2, 4 * n + 1)
  local memory = redis.call('GET', remembered)
  local queued = redis.call('EXISTS', job)
  if queued == 1 or (memory and string.sub(memory, 1, 8) == 'accepted')
    or redis.call('EXISTS', letter) == 1 then
    answers[n] = { memory or '', queued }
  else
    -- Listed first: a job that is listed nowhere would be found by nobody.
    redis.call('LPUSH', wait, id)
    redis.call('HSET', job, 'name', name, 'data', data, 'opts', ARGV[1],
      'timestamp', acceptedAt, 'delay', 0, 'priority', 0)
    answers[n] = 1
    added[1] = true
  end
end
if added[1] then
  local limits = redis.call('HMGET', meta, 'paused', 'concurrency')
  if not limits[1] and (not limits[2] or redis.call('LLEN', active) < tonumber(limits[2])) then
    redis.call('ZADD', marker, 0, '0')
  end
end
return answers`;

const { attempts, backoff } = RETRY_OPTIONS;
// What else RETRY_OPTIONS says, workers bring along.
const OPTIONS = JSON.stringify({ attempts, backoff });

export const createRedisAdmission = (client: Redis, prefix: string): Backend['admit'] => {
  const of = redisKeys(prefix);
  const queue = ['wait', 'active', 'meta', 'marker'].map(of.list);
  const script = createScript(client, ADMIT);

  const admitSome = async (jobs: NewJob[]): Promise<Admission[]> => {
    const keys = jobs.flatMap(({ signalId }) => [
      ...[of.remembered(signalId), of.job(signalId), of.letter(signalId)],
    ]);
    const values = jobs.flatMap(({ signalId, data }) => [
      ...[signalId, data.signal.typeCode, JSON.stringify(data), Date.parse(data.acceptedAt)],
    ]);
    const answers = await script([...queue, ...keys], [OPTIONS, ...values]);
    return jobs.map(({ signalId }, index) =>
      toAdmission(signalId, Array.isArray(answers) ? answers[index] : undefined),
    );
  };
  const admit = createGather(admitSome, AT_ONCE);

  return (jobs) => Promise.all(jobs.map(admit));
};

const toAdmission = (signalId: string, answer: unknown): Admission => {
  if (answer === 1) return { kind: 'added' };
  if (!Array.isArray(answer)) throw new Error('The queue does not say whether it took a signal');
  const [memory, queued] = answer;
  const remembered = readMemory(signalId, String(memory));
  return {
    kind: 'known',
    ...(remembered === undefined ? {} : { remembered }),
    queued: queued === 1,
  };
};
