/** What else the script works with, by BullMQ's names. */
export const LISTS = ['wait', 'active', 'stalled', 'completed', 'delayed', 'meta', 'marker'];

const FIXED_VALUES = 5;
const KEYS_PER_JOB = 2;
const VALUES_PER_JOB = 8;

/**
 * Completes jobs and takes as many others as their slots want, as BullMQ 6.7.0 does one by one
 * (moveToFinished, moveToActive). Whatever it does not know how to do it leaves to BullMQ's own scripts,
 * by taking nothing: a queue that is paused or limited, and delayed jobs that are due.
 *
 * KEYS: the lists; for each job its memory, and the record of a skip. ARGV: the prefix of the jobs' keys, now, how
 * long a lock lasts in ms, how old in seconds and how many completed jobs are kept; for each job its id,
 * lock, return value, attempts made, whether its slot wants another, by what it is remembered, for how long, and
 * whether that record goes. Answers with two lists in the same order: 0 or BullMQ's error code, and the job taken, if any.
 */
export const GROUPED_MOVES = `
local wait, active, stalled, completed, delayed, meta, marker = unpack(KEYS, 1, ${LISTS.length})
local prefix, now, lockMs, age, count = unpack(ARGV, 1, ${FIXED_VALUES})
local moves = (#KEYS - ${LISTS.length}) / ${KEYS_PER_JOB}
local function input(n, of) return ARGV[${FIXED_VALUES} + ${VALUES_PER_JOB} * (n - 1) + of] end

local codes, lockKeys, locks, ids = {}, {}, {}, {}
for n = 1, moves do lockKeys[n] = prefix .. input(n, 1) .. ':lock' end
local holders = redis.call('MGET', unpack(lockKeys))
for n = 1, moves do
  local id = input(n, 1)
  if holders[n] ~= input(n, 2) then
    codes[n] = holders[n] and -6 or -2
  -- First of all writes: a Redis without memory refuses a script that begins by asking for some.
  elseif redis.call('LREM', active, -1, id) == 0 then
    codes[n] = -3
  else
    -- At once in the next list: should anything fail from here on, nothing is lost but what comes after it.
    redis.call('ZADD', completed, now, id)
    redis.call('HSET', prefix .. id, 'returnvalue', input(n, 3), 'finishedOn', now, 'atm', input(n, 4))
    local own = ${LISTS.length} + ${KEYS_PER_JOB} * (n - 1)
    local memory, skipped = KEYS[own + 1], KEYS[own + 2]
    -- Never for a shorter time than somebody has said before.
    if tonumber(input(n, 7)) > math.max(0, redis.call('PTTL', memory)) then
      redis.call('SET', memory, input(n, 6), 'PX', input(n, 7))
    end
    if input(n, 8) == '1' then redis.call('DEL', skipped) end
    table.insert(locks, lockKeys[n])
    table.insert(ids, id)
    codes[n] = 0
  end
end
if #ids > 0 then
  redis.call('DEL', unpack(locks))
  redis.call('SREM', stalled, unpack(ids))
  local gone = redis.call('ZRANGEBYSCORE', completed, '-inf', now - age * 1000, 'LIMIT', 0, 1000)
  if #gone > 0 then redis.call('ZREM', completed, unpack(gone)) end
  local over = redis.call('ZCARD', completed) - count
  if over > 0 then
    local popped = redis.call('ZPOPMIN', completed, math.min(over, 1000))
    for n = 1, #popped, 2 do table.insert(gone, popped[n]) end
  end
  local keys = {}
  for n = 1, #gone do
    keys[2 * n - 1], keys[2 * n] = prefix .. gone[n], prefix .. gone[n] .. ':logs'
  end
  if #keys > 0 then redis.call('DEL', unpack(keys)) end
end

local takers, jobs = {}, {}
for n = 1, moves do
  jobs[n] = false
  if codes[n] == 0 and input(n, 5) == '1' then table.insert(takers, n) end
end
if #takers == 0 then return { codes, jobs } end
local limits = redis.call('HMGET', meta, 'paused', 'concurrency', 'max')
local due = redis.call('ZRANGEBYSCORE', delayed, 0, (now + 1) * 0x1000 - 1, 'LIMIT', 0, 1)
if limits[1] or limits[2] or limits[3] or #due > 0 then return { codes, jobs } end

local taken = redis.call('RPOP', wait, #takers) or {}
if #taken > 0 then
  -- First of all: one that is in no list would be found by nobody.
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
return { codes, jobs }`;
