-- Reads the state of the circuit breaker, and the clock of Redis: the clocks of the workers differ. Sums how
-- many requests per second all workers send. A worker that sends requests passes its own rate, which counts
-- for two seconds.
--
-- KEYS: the state, the rates of the workers.
-- ARGV: none; or the id of the worker, its requests per second.
-- Returns { the state as JSON or '', the time now in ms, the requests per second of all workers }.

local RATE_MS = 2000

local stored = redis.call('GET', KEYS[1]) or ''
-- A value that is no JSON object is foreign and counts as none. Bytes that are not UTF-8 would come back
-- changed, so that no caller could ever replace them. replaceBreaker.lua does the same.
if string.sub(stored, 1, 1) ~= '{' then stored = '' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] then
  -- The first write must free memory: a Redis without memory refuses a script whose first write needs some.
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now))
  redis.call('PEXPIRE', KEYS[2], RATE_MS)
end
local perSecond = 0
local rates = redis.call('HGETALL', KEYS[2])
for n = 1, #rates, 2 do
  local rate, at = string.match(rates[n + 1], '^(%d+) (%d+)$')
  if rate and math.abs(now - at) <= RATE_MS then perSecond = perSecond + rate
  elseif ARGV[1] then redis.call('HDEL', KEYS[2], rates[n]) end
end
return { stored, now, perSecond }
