-- Releases the seek tokens that an application owns.
--
-- KEYS: the owner of each token.
-- ARGV: the id of the application.
-- Returns the positions, from 1, of the tokens that another application owns.

local others = {}
for index, key in ipairs(KEYS) do
  local owner = redis.call('GET', key)
  if owner == ARGV[1] then
    redis.call('DEL', key)
  elseif owner then
    table.insert(others, index)
  end
end
return others
