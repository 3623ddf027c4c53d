-- Reads the state of a job as BullMQ 6.7.0 stores it, without a search of the waiting list: a job that is
-- in no other list waits.
--
-- KEYS: the job, the active list, the sorted sets.
-- ARGV: the id of the job, the name of each sorted set.
-- Returns the name of the sorted set that holds the job, 'active', 'waiting', or 'unknown' if there is no
-- such job.

for n = 3, #KEYS do
  if redis.call('ZSCORE', KEYS[n], ARGV[1]) then return ARGV[n - 1] end
end
if redis.call('LPOS', KEYS[2], ARGV[1]) then return 'active' end
local isJob = redis.call('TYPE', KEYS[1]).ok == 'hash' and redis.call('HEXISTS', KEYS[1], 'data') == 1
return isJob and 'waiting' or 'unknown'
