-- Adds signals to the sorted sets of their search keys, and keeps the newest of each set.
--
-- KEYS: the sorted set of each search key.
-- ARGV: the time now in ms, how many signals a set keeps, how long it is kept in ms; for each key: how many
--   signals follow, and their ids.
-- Returns nil.

local now, max, keepMs = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local at = 4
for n = 1, #KEYS do
  local last = at + tonumber(ARGV[at])
  for id = at + 1, last do redis.call('ZADD', KEYS[n], now, ARGV[id]) end
  redis.call('ZREMRANGEBYRANK', KEYS[n], 0, -max - 1)
  redis.call('PEXPIRE', KEYS[n], keepMs)
  at = last + 1
end
