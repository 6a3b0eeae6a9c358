-- KEYS: the stream.  ARGV: group, this consumer, whose entries, 1 if they count as delivered once more, ids.
-- Takes those entries that are still pending under that name. For each: id, fields, times delivered.
local taken = {}
for n = 5, #ARGV do
  -- An error when the group is not there (any more); then it has nothing at this place either.
  local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[n], ARGV[n], 1)[1]
  if pending and pending[2] == ARGV[3] then
    local count = pending[4] + tonumber(ARGV[4])
    -- Empty when somebody deleted the entry: Redis then forgets it.
    local entry = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[n], 'RETRYCOUNT', count)[1]
    if entry then
      taken[#taken + 1] = { entry[1], entry[2], count }
    end
  end
end
return taken
