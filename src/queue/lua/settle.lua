-- KEYS: the stream. ARGV: group, ids.
-- Both or neither: an entry that nobody has in hand and that is still in the stream would never be given out again.
local stream, group = KEYS[1], ARGV[1]
for first = 2, #ARGV, 1000 do
  local last = math.min(first + 999, #ARGV)
  redis.call('XACK', stream, group, unpack(ARGV, first, last))
  redis.call('XDEL', stream, unpack(ARGV, first, last))
end
return 1
