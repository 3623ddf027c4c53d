-- Removes the record of a completed or skipped signal, so that it can be enqueued again. Until that happens,
-- its dedupe record says 'reopened'. BullMQ 6.7.0 stores a completed job as a hash, its logs and an entry in
-- a sorted set.
--
-- KEYS: the dedupe record, the job, its logs, the completed jobs, the skip record.
-- ARGV: the id of the signal, when its job finished in ms or '' if it has no job, how long the enqueueing
--   may take in ms.
-- Returns 1, or 0 if the signal has changed since it was read.

if ARGV[2] == '' then
  if redis.call('EXISTS', KEYS[2]) == 1 or redis.call('EXISTS', KEYS[5]) == 0 then return 0 end
else
  local finishedAt = redis.call('ZSCORE', KEYS[4], ARGV[1])
  if not finishedAt or tonumber(finishedAt) ~= tonumber(ARGV[2]) then return 0 end
end
-- The first write must need memory, so that a Redis without memory refuses the whole script. Otherwise
-- nothing would be left of a signal that cannot be enqueued again.
redis.call('SET', KEYS[1], 'reopened', 'PX', ARGV[3])
if ARGV[2] ~= '' then
  redis.call('ZREM', KEYS[4], ARGV[1])
  redis.call('DEL', KEYS[2], KEYS[3])
end
redis.call('DEL', KEYS[5])
return 1
