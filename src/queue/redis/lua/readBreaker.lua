-- Reads the state of the circuit breaker, and the clock of Redis: the clocks of the workers differ.
--
-- KEYS: the state.
-- ARGV: none.
-- Returns { the state as JSON or '', the time now in ms }.

local stored = redis.call('GET', KEYS[1]) or ''
-- A value that is no JSON object is foreign and counts as none. Bytes that are not UTF-8 would come back
-- changed, so that no caller could ever replace them. replaceBreaker.lua does the same.
if string.sub(stored, 1, 1) ~= '{' then stored = '' end
local time = redis.call('TIME')
return { stored, time[1] * 1000 + math.floor(time[2] / 1000) }
