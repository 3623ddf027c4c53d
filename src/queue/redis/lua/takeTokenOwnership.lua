-- Makes an application the owner of a seek token, unless another one owns it.
--
-- KEYS: the owner of the token.
-- ARGV: the id of the application, when the ownership expires in ms.
-- Returns the id of the other application that owns the token, or nil.

local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
return false
