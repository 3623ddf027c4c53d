-- Removes a job that waits, and writes what is recorded of its signal, in one atomic step. Of a job without
-- parent, children or deduplication BullMQ 6.7.0 stores a hash and its logs.
--
-- KEYS: the job, its logs, the skip record and the dedupe record of its signal, wait, paused, delayed.
-- ARGV: the id of the job, the skip record or '' for none, how long that lasts in ms, the dedupe record,
--   how long that lasts in ms (0: none is written).
-- Returns 1, or 0 if the job does not wait.

if redis.call('LREM', KEYS[5], 1, ARGV[1]) + redis.call('LREM', KEYS[6], 1, ARGV[1])
  + redis.call('ZREM', KEYS[7], ARGV[1]) == 0 then return 0 end
-- As in removeFinishedJob.lua.
redis.call('DEL', KEYS[1], KEYS[2])
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
  if tonumber(ARGV[5]) > 0 then redis.call('SET', KEYS[4], ARGV[4], 'PX', ARGV[5]) end
end
return 1
