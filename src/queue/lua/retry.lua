-- KEYS: the stream, its dead letters, the bytes these take.  ARGV: the letter, 1 to put it back, 0 to throw it away.
-- 1: done. 0: there is no such letter. -1: it is cut off, and cannot be done again.
local letter = redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[1])[1]
if not letter then
  return 0
end
local data, size = '', nil
for n = 1, #letter[2], 2 do
  if letter[2][n] == 'd' then
    data = letter[2][n + 1]
  elseif letter[2][n] == 'size' then
    size = tonumber(letter[2][n + 1])
  end
end
if ARGV[2] == '1' then
  if size and size > #data then
    return -1
  end
  redis.call('XADD', KEYS[1], '*', 'd', data)
end
redis.call('XDEL', KEYS[2], ARGV[1])
if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('DECRBY', KEYS[3], #data)
end
return 1
