-- KEYS: the stream, its dead letters, the bytes these take.
-- ARGV: group, id, reason, most bytes of one, most of them, most bytes of all.
-- 1 when it was buried; 0 when somebody else has settled it meanwhile.
local stream, letters, total = KEYS[1], KEYS[2], KEYS[3]
local group, id, most_bytes, most, most_total = ARGV[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
if pending.err or not pending[1] then
  return 0
end
local entry = redis.call('XRANGE', stream, id, id)[1]
local data = ''
for n = 1, entry and #entry[2] or 0, 2 do
  if entry[2][n] == 'd' then
    data = entry[2][n + 1]
  end
end
local size = #data
local kept = math.min(size, most_bytes)
local time = redis.call('TIME')
local added = { 'XADD', letters, '*', 'd', string.sub(data, 1, kept), 'reason', ARGV[3], 'id', id,
  'attempts', pending[1][4], 'at', time[1] * 1000 + math.floor(time[2] / 1000), 'size', size }
if redis.call('EXISTS', letters) == 0 then
  redis.call('DEL', total)
end
redis.call(unpack(added))
redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
local bytes = redis.call('INCRBY', total, kept)
-- The latest are kept.
while redis.call('XLEN', letters) > 1 and (redis.call('XLEN', letters) > most or bytes > most_total) do
  local oldest = redis.call('XRANGE', letters, '-', '+', 'COUNT', 1)[1]
  local length = 0
  for n = 1, #oldest[2], 2 do
    if oldest[2][n] == 'd' then
      length = #oldest[2][n + 1]
    end
  end
  redis.call('XDEL', letters, oldest[1])
  bytes = redis.call('DECRBY', total, length)
end
return 1
