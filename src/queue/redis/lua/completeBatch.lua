-- Completes several jobs and takes the next jobs for the slots that want one, as BullMQ 6.7.0 does job by
-- job (moveToFinished, moveToActive). In states that this script does not handle (a paused or limited
-- queue, delayed jobs that are due) it takes no job, and BullMQ's own scripts take over.
--
-- KEYS: wait, active, stalled, completed, delayed, meta, marker; for each job: its dedupe record, its
--   skip record.
-- ARGV: the prefix of the jobs' keys, the time now in ms, how long a lock lasts in ms, the maximum age in
--   seconds and the maximum number of completed jobs; for each job: its id, its lock, its return value,
--   attempts made, 1 if its slot wants another job, its dedupe record, how long that lasts in ms, 1 if its
--   skip record is to be deleted.
-- Returns two lists in the same order: 0 or BullMQ's error code of each job, and the job taken for its
-- slot ({ hash, id }) or false.

local FIXED_KEYS, KEYS_PER_JOB = 7, 2
local FIXED_VALUES, VALUES_PER_JOB = 5, 8
local MAX_BYTES_TAKEN = 1024 * 1024

local wait, active, stalled, completed, delayed, meta, marker = unpack(KEYS, 1, FIXED_KEYS)
local prefix, now, lockMs, age, count = unpack(ARGV, 1, FIXED_VALUES)
local size = (#KEYS - FIXED_KEYS) / KEYS_PER_JOB
local function input(n, field) return ARGV[FIXED_VALUES + VALUES_PER_JOB * (n - 1) + field] end

local codes, lockKeys, locks, ids = {}, {}, {}, {}
for n = 1, size do lockKeys[n] = prefix .. input(n, 1) .. ':lock' end
local holders = redis.call('MGET', unpack(lockKeys))
for n = 1, size do
  local id = input(n, 1)
  -- A lock that expired while the worker was frozen: the job is still active, so no other worker has taken
  -- it, and what this worker did counts.
  if holders[n] and holders[n] ~= input(n, 2) then
    codes[n] = -6
  -- The first write must free memory: a Redis without memory refuses a script whose first write needs some.
  elseif redis.call('LREM', active, -1, id) == 0 then
    codes[n] = -3
  else
    -- Into the next list at once: if a later command fails, the job is still in a list.
    redis.call('ZADD', completed, now, id)
    redis.call('HSET', prefix .. id, 'returnvalue', input(n, 3), 'finishedOn', now, 'atm', input(n, 4))
    local offset = FIXED_KEYS + KEYS_PER_JOB * (n - 1)
    local dedupeRecord, skipRecord = KEYS[offset + 1], KEYS[offset + 2]
    -- Never shortens the time to live of an existing dedupe record.
    if tonumber(input(n, 7)) > math.max(0, redis.call('PTTL', dedupeRecord)) then
      redis.call('SET', dedupeRecord, input(n, 6), 'PX', input(n, 7))
    end
    if input(n, 8) == '1' then redis.call('DEL', skipRecord) end
    table.insert(locks, lockKeys[n])
    table.insert(ids, id)
    codes[n] = 0
  end
end
if #ids > 0 then
  redis.call('DEL', unpack(locks))
  redis.call('SREM', stalled, unpack(ids))
  local removed = redis.call('ZRANGEBYSCORE', completed, '-inf', now - age * 1000, 'LIMIT', 0, 1000)
  if #removed > 0 then redis.call('ZREM', completed, unpack(removed)) end
  local excess = redis.call('ZCARD', completed) - count
  if excess > 0 then
    local popped = redis.call('ZPOPMIN', completed, math.min(excess, 1000))
    for n = 1, #popped, 2 do table.insert(removed, popped[n]) end
  end
  local keys = {}
  for n = 1, #removed do
    keys[2 * n - 1], keys[2 * n] = prefix .. removed[n], prefix .. removed[n] .. ':logs'
  end
  if #keys > 0 then redis.call('DEL', unpack(keys)) end
end

local takers, jobs = {}, {}
for n = 1, size do
  jobs[n] = false
  if codes[n] == 0 and input(n, 5) == '1' then table.insert(takers, n) end
end
if #takers == 0 then return { codes, jobs } end
local limits = redis.call('HMGET', meta, 'paused', 'concurrency', 'max')
local due = redis.call('ZRANGEBYSCORE', delayed, 0, (now + 1) * 0x1000 - 1, 'LIMIT', 0, 1)
if limits[1] or limits[2] or limits[3] or #due > 0 then return { codes, jobs } end

-- Counts the bytes first: a worker that takes many large jobs at once would run out of memory.
local waiting = redis.call('LRANGE', wait, -#takers, -1)
local fitting, bytes = 0, 0
for n = #waiting, 1, -1 do
  bytes = bytes + redis.call('HSTRLEN', prefix .. waiting[n], 'data')
  if fitting > 0 and bytes > MAX_BYTES_TAKEN then break end
  fitting = fitting + 1
end
local taken = fitting > 0 and redis.call('RPOP', wait, fitting) or {}
if #taken > 0 then
  -- The list first: no worker would find a job that is in no list.
  redis.call('LPUSH', active, unpack(taken))
  redis.call('ZADD', marker, 0, '0')
end
for n = 1, #taken do
  local key = prefix .. taken[n]
  redis.call('SET', key .. ':lock', input(takers[n], 2), 'PX', lockMs)
  local started = (tonumber(redis.call('HGET', key, 'ats') or 0) or 0) + 1
  redis.call('HSET', key, 'processedOn', now, 'ats', started)
  jobs[takers[n]] = { redis.call('HGETALL', key), taken[n] }
end
return { codes, jobs }
