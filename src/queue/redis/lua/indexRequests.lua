-- Records which signals each request carried. There are two generations: when the current one is full, it
-- replaces the previous one. The field 'signals', which is no request id, counts the signals of a generation.
--
-- KEYS: the current generation, the previous one.
-- ARGV: how many signals make a generation full, how long it is kept in ms; for each request: its id, the
--   ids of its signals, how many signals these are.
-- Returns nil.

local signals = 0
for n = 3, #ARGV, 3 do
  redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 1])
  signals = redis.call('HINCRBY', KEYS[1], 'signals', ARGV[n + 2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if signals >= tonumber(ARGV[1]) then redis.call('RENAME', KEYS[1], KEYS[2]) end
