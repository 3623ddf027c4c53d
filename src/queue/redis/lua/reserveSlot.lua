-- Reserves the next free slot of the rate limiter that all workers share. Counts in microseconds by the
-- clock of Redis: at a thousand requests a second a slot is as short as a millisecond.
--
-- KEYS: the next free slot.
-- ARGV: slots per second, how far ahead a slot may be reserved in ms.
-- Returns how long to wait for the reserved slot in ms; or, negative, how long to wait before the next
-- call, if the next free slot is too far ahead.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local slot = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0) or 0)
-- No caller reserves a slot that far ahead: the clock was set back.
if slot - now > 5000000 + 1000000 / ARGV[1] then slot = now end
local beyond = slot - now - ARGV[2] * 1000
if beyond > 0 then return -math.ceil(beyond / 1000) end
local nextSlot = slot + math.floor(1000000 / ARGV[1])
-- The first write must free memory: a Redis without memory refuses a script whose first write needs some.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], string.format('%.0f', nextSlot), 'PX', math.ceil((nextSlot - now) / 1000) + 1000)
return math.ceil((slot - now) / 1000)
