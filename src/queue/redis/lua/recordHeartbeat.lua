-- Records that a worker is alive, the outcomes that it counted, and the lengths of the queues. Uses the
-- clock of Redis, except for the choice of the bucket: an error of minutes only shifts a line on a chart.
--
-- KEYS: the workers, the bucket, then the lists that count as waiting, as retrying and as dead.
-- ARGV: the worker, how long a silent worker is kept in ms, how long the bucket is kept in ms, the number
--   of lists that count as waiting, as retrying and as dead; then pairs of outcome and count.
-- Returns nil.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- The first write must free memory: a Redis without memory refuses a script whose first write needs some.
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
local key = 2
for kind, name in ipairs({ 'waiting', 'retrying', 'dead' }) do
  local sum = 0
  for _ = 1, tonumber(ARGV[3 + kind]) do
    key = key + 1
    local length = redis.call('TYPE', KEYS[key]).ok == 'list' and 'LLEN' or 'ZCARD'
    sum = sum + redis.call(length, KEYS[key])
  end
  if sum >= (tonumber(redis.call('HGET', KEYS[2], name) or 0) or 0) then
    redis.call('HSET', KEYS[2], name, sum)
  end
end
for n = 7, #ARGV, 2 do redis.call('HINCRBY', KEYS[2], ARGV[n], ARGV[n + 1]) end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
