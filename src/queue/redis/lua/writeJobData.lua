-- Sets the data of a job for the worker that holds its lock, and adds the job to the unsent set: the
-- worker is about to release it, after which its queue position no longer reflects its age. BullMQ 6.7.0
-- stores the data in the field 'data' of the job's hash, and the lock beside it.
--
-- KEYS: the job, its lock, the unsent set.
-- ARGV: the lock, the new data, acceptance time in ms, the id of the job.
-- Returns 1, or 0 if another worker holds the lock, or none does.

if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
-- The first write must free memory: a Redis without memory refuses a script whose first write needs some,
-- and the outcome of an attempt must be written all the same.
redis.call('HDEL', KEYS[1], 'data')
redis.call('HSET', KEYS[1], 'data', ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[4])
return 1
