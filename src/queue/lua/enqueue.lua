-- KEYS: the stream, its delayed work, and the key that there may be only one of, if any.
-- ARGV: the work, ms until its time, 16 bytes of its own, ms that its key is kept.  0: there is one already.
if KEYS[3] and not redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[4]) then
  return 0
end
if tonumber(ARGV[2]) > 0 then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[3] .. ARGV[1])
else
  redis.call('XADD', KEYS[1], '*', 'd', ARGV[1])
end
return 1
