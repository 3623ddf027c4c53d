-- Adds signals to the queue, except those that are known already. One atomic step: of several callers
-- with the same signal, exactly one adds it. Jobs are stored as BullMQ 6.7.0 stores them, without the
-- events that only `QueueEvents` reads, and with two more fields, which BullMQ ignores. By `nonce`, the call
-- and the place in it that added the job, a call that is sent again, because its answer was lost, recognises
-- its own jobs. While `unshared` is set, no other caller relies on the job, and takeBack.lua may remove it.
--
-- KEYS: wait, active, meta, marker; for each signal: its dedupe record, its job, its dead letter.
-- ARGV: the options of a job, a text that no other call has; for each signal: its id, type code, data,
--   acceptance time in ms.
-- Returns a list in the same order: 1 for a signal that this call added, or { dedupe record or '', 1 if
-- its job exists or 0 } for one that is known.

local wait, active, meta, marker = unpack(KEYS, 1, 4)
local call = ARGV[2]
local answers, added = {}, {}

for n = 1, (#KEYS - 4) / 3 do
  local recordKey, job, deadLetter = unpack(KEYS, 3 * n + 2, 3 * n + 4)
  local id, name, data, acceptedAt = unpack(ARGV, 4 * n - 1, 4 * n + 2)
  local own = call .. ':' .. n
  local record = redis.call('GET', recordKey)
  local queued = redis.call('EXISTS', job)
  local nonce = queued == 1 and redis.call('HGET', job, 'nonce')
  if nonce == own then
    answers[n] = 1
  elseif queued == 1 or (record and string.sub(record, 1, 8) == 'accepted')
    or redis.call('EXISTS', deadLetter) == 1 then
    -- Needs no memory: a full Redis must not refuse duplicates.
    redis.call('HDEL', job, 'unshared')
    answers[n] = { record or '', queued }
  else
    -- The list first: no worker would find a job that is in no list.
    redis.call('LPUSH', wait, id)
    -- A reopened signal was accepted before, and this job is all that is left of it: it is not taken back.
    local unshared = record == 'reopened' and {} or { 'unshared', 1 }
    local stored = redis.pcall('HSET', job, 'name', name, 'data', data, 'opts', ARGV[1],
      'timestamp', acceptedAt, 'delay', 0, 'priority', 0, 'nonce', own, unpack(unshared))
    -- A user may lack the permission for HSET. An id without a job would become a dead letter without content.
    if type(stored) == 'table' and stored.err then
      redis.call('LPOP', wait)
      return stored
    end
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
