-- Reads when each worker last reported, and the clock that these times are measured by.
--
-- KEYS: the workers.
-- ARGV: none.
-- Returns { the time now in ms, a flat list of worker and time of its last heartbeat in ms }.

local time = redis.call('TIME')
return { time[1] * 1000 + math.floor(time[2] / 1000), redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES') }
