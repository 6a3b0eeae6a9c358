-- As find.lua, for work whose time has not come.
-- KEYS: the sorted set.  ARGV: where to begin, entries of a page, the text, bytes it is looked for in, bytes to hand over.
-- Where to go on ('' at the end), entries seen, bytes seen, and for each find: ms of its time, work.
local first, count, text = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local head, most = tonumber(ARGV[4]), tonumber(ARGV[5])
local members = redis.call('ZRANGE', KEYS[1], first, first + count - 1, 'WITHSCORES')
local bytes, found = 0, {}
for n = 1, #members, 2 do
  -- The first 16 bytes make members unique.
  local work = string.sub(members[n], 17)
  bytes = bytes + #work
  if string.find(string.sub(work, 1, head), text, 1, true) then
    found[#found + 1] = { string.format('%.0f', tonumber(members[n + 1])), string.sub(work, 1, most) }
  end
end
local seen = #members / 2
return { seen == count and tostring(first + count) or '', seen, bytes, found }
