-- Completes jobs and takes other jobs, as BullMQ 6.7.0 does job by job (moveToFinished, moveToActive). In
-- states that this script does not handle (a paused or limited queue, delayed jobs that are due,
-- prioritized jobs) it takes no job, and BullMQ's own scripts take over. Left out are the events that only
-- `QueueEvents` reads.
--
-- KEYS: wait, active, stalled, completed, delayed, prioritized, meta, marker.
-- ARGV: the prefix of the jobs' keys, of the dedupe records and of the skip records; the time now in ms, how
--   long a lock lasts in ms, the maximum age in seconds and the maximum number of completed jobs; how many
--   jobs to take, of how many bytes together, the start of their locks; for each job to complete: its id,
--   its lock, its return value, attempts made, its dedupe record, how long that lasts in ms, 1 if its skip
--   record is to be deleted.
-- Returns three values: a list with 0 or BullMQ's error code of each job to complete; a list with the
--   fields of each job taken, the end of its lock first; 1 if there may be more jobs.

local FIXED_VALUES, VALUES_PER_JOB = 10, 7

local wait, active, stalled, completed, delayed, prioritized, meta, marker = unpack(KEYS)
local prefix, dedupePrefix, skipPrefix, now, lockMs, age, count = unpack(ARGV, 1, 7)
local wanted, maxBytes, lock = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local call = redis.call

local codes, ids, locks, scores, skipRecords = {}, {}, {}, {}, {}
for at = FIXED_VALUES + 1, #ARGV, VALUES_PER_JOB do
  table.insert(locks, prefix .. ARGV[at] .. ':lock')
end
local holders = #locks > 0 and call('MGET', unpack(locks)) or {}
for n, holder in ipairs(holders) do
  local at = FIXED_VALUES + VALUES_PER_JOB * (n - 1) + 1
  local id, returnValue = ARGV[at], ARGV[at + 2]
  local key = prefix .. id
  -- A lock that expired while the worker was frozen: the job is still active, so no other worker has taken
  -- it, and what this worker did counts.
  if holder and holder ~= ARGV[at + 1] then
    codes[n] = -6
  -- The first write must free memory: a Redis without memory refuses a script whose first write needs some.
  elseif call('LREM', active, -1, id) == 1 then
    -- Into the next list at once: if a later command fails, the job is still in a list.
    call('ZADD', completed, now, id)
    call('HSET', key, 'returnvalue', returnValue, 'finishedOn', now, 'atm', ARGV[at + 3])
    local dedupeMs = ARGV[at + 5]
    local dedupeRecord = dedupePrefix .. id
    -- Never shortens the time to live of an existing dedupe record.
    if dedupeMs ~= '0' and not call('SET', dedupeRecord, ARGV[at + 4], 'PX', dedupeMs, 'NX')
      and tonumber(dedupeMs) > call('PTTL', dedupeRecord) then
      call('SET', dedupeRecord, ARGV[at + 4], 'PX', dedupeMs)
    end
    if ARGV[at + 6] == '1' then table.insert(skipRecords, skipPrefix .. id) end
    table.insert(ids, id)
    codes[n] = 0
  -- An earlier call with the same completion, whose answer was lost, may have completed it.
  elseif call('ZSCORE', completed, id) and call('HGET', key, 'returnvalue') == returnValue then
    codes[n] = 0
  else
    codes[n] = -3
  end
end
if #ids > 0 then
  local keys = skipRecords
  for n, code in ipairs(codes) do
    if code == 0 then table.insert(keys, locks[n]) end
  end
  call('SREM', stalled, unpack(ids))
  local removed = call('ZRANGEBYSCORE', completed, '-inf', now - age * 1000, 'LIMIT', 0, 1000)
  if #removed > 0 then call('ZREM', completed, unpack(removed)) end
  local excess = call('ZCARD', completed) - count
  if excess > 0 then
    local popped = call('ZPOPMIN', completed, math.min(excess, 1000))
    for n = 1, #popped, 2 do table.insert(removed, popped[n]) end
  end
  for _, id in ipairs(removed) do
    table.insert(keys, prefix .. id)
    table.insert(keys, prefix .. id .. ':logs')
  end
  call('DEL', unpack(keys))
end

if wanted == 0 then return { codes, {}, 1 } end
local limits = call('HMGET', meta, 'paused', 'concurrency', 'max')
local due = call('ZRANGEBYSCORE', delayed, 0, (now + 1) * 0x1000 - 1, 'LIMIT', 0, 1)
if limits[1] or limits[2] or limits[3] or #due > 0 or call('EXISTS', prioritized) == 1 then
  return { codes, {}, 1 }
end

-- Reads before it takes: a worker that takes many large jobs at once would run out of memory.
local waiting = call('LRANGE', wait, -wanted, -1)
local jobs, bytes, fitting = {}, 0, 0
for n = #waiting, 1, -1 do
  -- A key that is no job must not hold up the queue.
  local job = redis.pcall('HMGET', prefix .. waiting[n], 'data', 'name', 'timestamp', 'atm', 'stc', 'ats',
    'opts', 'parentKey', 'rjk')
  bytes = bytes + #(job[1] or '')
  -- Only BullMQ schedules the next job of a repetition, when it takes this one.
  if (fitting > 0 and bytes > maxBytes) or job[9] then break end
  fitting = fitting + 1
  jobs[fitting] = job
end
local taken = fitting > 0 and call('RPOP', wait, fitting) or {}
if fitting > 0 then
  -- The list first: no worker would find a job that is in no list.
  call('LPUSH', active, unpack(taken))
  call('ZADD', marker, 0, '0')
end
local answers = {}
for n, id in ipairs(taken) do
  local key, job = prefix .. id, jobs[n]
  call('SET', key .. ':lock', lock .. n, 'PX', lockMs)
  if not job.err then
    call('HSET', key, 'processedOn', now, 'ats', (tonumber(job[6] or 0) or 0) + 1)
    -- BullMQ completes jobs that use a feature which this script leaves out. Other programs may add such
    -- jobs.
    local opts = job[7] or ''
    local isPlain = not job[8] and not string.find(opts, '"removeOnComplete"', 1, true)
      and not string.find(opts, '"de"', 1, true)
    table.insert(answers, { n, id, job[2] or '', job[1] or '', job[3] or '0', job[4] or '0', job[5] or '0',
      isPlain and 1 or 0 })
  end
end
return { codes, answers, (fitting == wanted or fitting < #waiting) and 1 or 0 }
