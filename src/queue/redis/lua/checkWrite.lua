-- Writes as the acceptance of a signal does: by a script, into a hash.
--
-- KEYS: a hash of its own.
-- ARGV: the time now in ms, how long the hash is kept in ms.
-- Returns 1.

redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'at', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
