-- KEYS: the stream.  ARGV: group, this consumer, whom to give its entries to, times delivered from now on, ids.
-- Entries that are no longer pending under this name stay as they are.
for n = 5, #ARGV do
  -- An error when the group is not there (any more); then it has nothing at this place either.
  local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[n], ARGV[n], 1)[1]
  if pending and pending[2] == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, ARGV[n], 'RETRYCOUNT', ARGV[4], 'JUSTID')
  end
end
return redis.status_reply('OK')
