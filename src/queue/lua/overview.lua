-- KEYS: for each queue its stream, its delayed work, its dead letters, its pause.  ARGV: the group.
-- For each queue: length, pending, consumers, delayed, dead, paused (0, 1), age of the oldest entry in ms (-1: none).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {}
for first = 1, #KEYS, 4 do
  local pending, consumers, age = 0, 0, -1
  local groups = redis.pcall('XINFO', 'GROUPS', KEYS[first])
  for _, group in ipairs(groups.err and {} or groups) do
    -- name, NAME, consumers, COUNT, pending, COUNT, ...
    if group[2] == ARGV[1] then
      consumers, pending = group[4], group[6]
    end
  end
  local oldest = redis.call('XRANGE', KEYS[first], '-', '+', 'COUNT', 1)[1]
  if oldest then
    age = math.max(now - tonumber(string.match(oldest[1], '^%d+')), 0)
  end
  answer[#answer + 1] = {
    redis.call('XLEN', KEYS[first]), pending, consumers, redis.call('ZCARD', KEYS[first + 1]),
    redis.call('XLEN', KEYS[first + 2]), redis.call('EXISTS', KEYS[first + 3]), age,
  }
end
return answer
