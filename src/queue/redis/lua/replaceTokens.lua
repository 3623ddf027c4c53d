-- Compare-and-set: replaces the seek tokens of an application if they have not changed since they were
-- read. Keeps the set of applications by age up to date.
--
-- KEYS: the tokens of the application, the applications by age.
-- ARGV: the tokens as they were read or '', the new tokens, when they expire in ms or '' to leave that
--   as it is, when they were received in ms or '' if there are none, the id of the application, the time
--   in ms up to which applications leave the set.
-- Returns 1, or 0 if the tokens have changed.

if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
if ARGV[3] ~= '' then redis.call('PEXPIREAT', KEYS[1], ARGV[3]) end
if ARGV[4] == '' then
  redis.call('ZREM', KEYS[2], ARGV[5])
else
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[5])
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[6])
return 1
