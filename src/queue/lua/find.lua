-- Looks through one page of a stream for entries with a text in the first bytes of their work. Takes nothing out.
-- KEYS: the stream.
-- ARGV: group, where to begin, entries of a page, the text, bytes it is looked for in, bytes of work to hand over.
-- Where to go on ('' at the end), entries seen, bytes seen, and for each find: id, work, reason, consumer, ms since it was
-- given out, times given out.
local stream, group, first = KEYS[1], ARGV[1], ARGV[2]
local count, text, head, most = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local entries = redis.call('XRANGE', stream, first, '+', 'COUNT', count)
local bytes, found = 0, {}
for _, entry in ipairs(entries) do
  local work, reason = '', ''
  for n = 1, #entry[2], 2 do
    if entry[2][n] == 'd' then
      work = entry[2][n + 1]
    elseif entry[2][n] == 'reason' then
      reason = entry[2][n + 1]
    end
  end
  bytes = bytes + #work
  if string.find(string.sub(work, 1, head), text, 1, true) then
    local pending = redis.pcall('XPENDING', stream, group, entry[1], entry[1], 1)
    local given = not pending.err and pending[1] or { '', '', 0, 0 }
    found[#found + 1] = { entry[1], string.sub(work, 1, most), reason, given[2], given[3], given[4] }
  end
end
local on = ''
if #entries == count then
  local ms, number = string.match(entries[#entries][1], '^(%d+)-(%d+)$')
  on = ms .. '-' .. string.format('%.0f', number + 1)
end
return { on, #entries, bytes, found }
