-- Removes a finished job, and writes what is recorded of its signal, in one atomic step. Of a job without
-- parent, children or deduplication BullMQ 6.7.0 stores a hash and its logs.
--
-- KEYS: the job, its logs, the skip record and the dedupe record of its signal, the sorted set of its state.
-- ARGV: the id of the job, the skip record or '' for none, how long that lasts in ms, the dedupe record,
--   how long that lasts in ms (0: none is written), when the job finished in ms.
-- Returns 1, or 0 if no job with this id finished at this time.

local finishedAt = redis.call('ZSCORE', KEYS[5], ARGV[1])
if not finishedAt or tonumber(finishedAt) ~= tonumber(ARGV[6]) then return 0 end
redis.call('ZREM', KEYS[5], ARGV[1])
-- As in removeWaitingJob.lua.
redis.call('DEL', KEYS[1], KEYS[2])
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
  if tonumber(ARGV[5]) > 0 then redis.call('SET', KEYS[4], ARGV[4], 'PX', ARGV[5]) end
end
return 1
