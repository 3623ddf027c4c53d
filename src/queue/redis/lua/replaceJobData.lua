-- Compare-and-set: replaces the data of a job if they have not changed since they were read. BullMQ 6.7.0
-- stores them in the field 'data' of the job's hash.
--
-- KEYS: the job.
-- ARGV: the data as they were read, the new data.
-- Returns 1, or 0 if the data have changed or the job is gone.

if redis.call('HGET', KEYS[1], 'data') ~= ARGV[1] then return 0 end
-- The first write must free memory: a Redis without memory refuses a script whose first write needs some,
-- and the outcome of an attempt must be written all the same.
redis.call('HDEL', KEYS[1], 'data')
redis.call('HSET', KEYS[1], 'data', ARGV[2])
return 1
