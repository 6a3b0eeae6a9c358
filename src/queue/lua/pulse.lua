-- Says that a worker lives, puts delayed work whose time has come into its queue, and looks around.
-- KEYS: for each queue its stream, its delayed work, its pause.
-- ARGV: group, this consumer, the consumer that holds what was handed back, seconds that a sign of life lasts,
--       ms after which a consumer without one counts as dead, ms after which an empty one is removed, most to move.
-- For each queue: paused (0, 1), is its group there (0, 1), was there more to move (0, 1), dead consumers with work.
local group, me, handed_back = ARGV[1], ARGV[2], ARGV[3]
local lasts, dead_after, gone_after, most = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {}
for first = 1, #KEYS, 3 do
  local stream, delayed = KEYS[first], KEYS[first + 1]
  -- A Redis that is full refuses SET, but not EXPIRE.
  if redis.call('EXPIRE', stream .. ':alive:' .. me, lasts) == 0 then
    redis.pcall('SET', stream .. ':alive:' .. me, '1', 'EX', lasts)
  end

  local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, most)
  local moved = 0
  for _, member in ipairs(due) do
    -- The first 16 bytes make members unique.
    local added = redis.pcall('XADD', stream, '*', 'd', string.sub(member, 17))
    if type(added) == 'table' and added.err then
      break
    end
    redis.call('ZREM', delayed, member)
    moved = moved + 1
  end

  local dead = {}
  local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
  for _, consumer in ipairs(consumers.err and {} or consumers) do
    -- name, NAME, pending, COUNT, idle, MS, ...
    local name, pending, idle = consumer[2], consumer[4], consumer[6]
    if name == handed_back then
      if pending > 0 then
        dead[#dead + 1] = name
      end
    elseif name ~= me and redis.call('EXISTS', stream .. ':alive:' .. name) == 0 then
      if pending > 0 and idle >= dead_after then
        dead[#dead + 1] = name
      elseif pending == 0 and idle >= gone_after then
        redis.call('XGROUP', 'DELCONSUMER', stream, group, name)
      end
    end
  end
  answer[#answer + 1] = {
    redis.call('EXISTS', KEYS[first + 2]), consumers.err and 0 or 1, moved == most and 1 or 0, dead,
  }
end
return answer
