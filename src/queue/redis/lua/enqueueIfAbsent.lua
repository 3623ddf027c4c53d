-- Adds signals to the queue, except those that are known already. One atomic step: of several callers
-- with the same signal, exactly one adds it. Jobs are stored as BullMQ 6.7.0 stores them, without the
-- events that only `QueueEvents` reads.
--
-- KEYS: wait, active, meta, marker; for each signal: its dedupe record, its job, its dead letter.
-- ARGV: the options of a job; for each signal: its id, type code, data, acceptance time in ms.
-- Returns a list in the same order: 1 for a signal that was added, or { dedupe record or '', 1 if its
-- job exists or 0 } for one that is known.

local wait, active, meta, marker = unpack(KEYS, 1, 4)
local answers, added = {}, {}
for n = 1, (#KEYS - 4) / 3 do
  local recordKey, job, deadLetter = unpack(KEYS, 3 * n + 2, 3 * n + 4)
  local id, name, data, acceptedAt = unpack(ARGV, 4 * n - 2, 4 * n + 1)
  local record = redis.call('GET', recordKey)
  local queued = redis.call('EXISTS', job)
  if queued == 1 or (record and string.sub(record, 1, 8) == 'accepted')
    or redis.call('EXISTS', deadLetter) == 1 then
    answers[n] = { record or '', queued }
  else
    -- The list first: no worker would find a job that is in no list.
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
return answers
