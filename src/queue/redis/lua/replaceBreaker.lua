-- Compare-and-set: replaces the state of the circuit breaker if it has not changed since it was read.
--
-- KEYS: the state.
-- ARGV: the state as it was read (JSON or ''), the new state as JSON.
-- Returns 1, or 0 if the state has changed.

local stored = redis.call('GET', KEYS[1]) or ''
-- A value that is no JSON object counts as none, as in readBreaker.lua.
if string.sub(stored, 1, 1) ~= '{' then stored = '' end
if stored ~= ARGV[1] then return 0 end
-- The first write must free memory: a Redis without memory refuses a script whose first write needs some.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2])
return 1
