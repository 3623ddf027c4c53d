-- Removes jobs that one call of enqueueIfAbsent.lua added, as long as no worker has taken them and no other
-- caller relies on them. Of a job that no worker has taken BullMQ 6.7.0 stores a hash, and its id in a list.
--
-- KEYS: wait, paused; for each job: its hash.
-- ARGV: for each job: its id, the nonce that the call gave it.
-- Returns the number of removed jobs.

local removed = 0
for n = 1, #KEYS - 2 do
  local job = KEYS[n + 2]
  local id, nonce = unpack(ARGV, 2 * n - 1, 2 * n)
  local stored = redis.call('HMGET', job, 'nonce', 'ats', 'unshared')
  -- A job that a worker has taken before is not searched for: the search would read the whole list.
  if stored[1] == nonce and not stored[2] and stored[3]
    and redis.call('LREM', KEYS[1], 1, id) + redis.call('LREM', KEYS[2], 1, id) > 0 then
    redis.call('DEL', job)
    removed = removed + 1
  end
end
return removed
