-- KEYS: the stream, its delayed work.  ARGV: group, id, the work as it shall come back, ms until then, 16 bytes of its own.
-- Nothing happens when somebody else has settled the entry meanwhile.
local acknowledged = redis.pcall('XACK', KEYS[1], ARGV[1], ARGV[2])
if acknowledged ~= 1 then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[5] .. ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[2])
return 1
