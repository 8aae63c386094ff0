#!lua name=@name@

-- The store contract where the data is: one function, which takes the calls of one agent in their order.
-- It holds no answer to "where", "when" or "how often": that is the caller's.
--
-- One hash an agent. Its fields:
--   m           epoch, and the seat "number:node", or "@" and the second at which it was seen last: "1 7:ab12"
--   w           wake-up data
--   u…, c…      a channel: "version:acked", and ":spelling" if that isn't its name; or a tombstone:
--               "x", the second of its unregister, ":version"
-- A mark of the epoch (see valkey_epoch.py): epoch, born (another value means that it was lost in between).
--
-- Versions are decimal strings without leading zeros: Lua's numbers are exact to 2^53 alone.
-- What an answer promises is written even if it stays equal: WAIT covers what this connection wrote, and the
-- call that changed it may have come by another, and failed for want of a replica.

local UNSEEN = 30 * 24 * 3600
-- A seat's holder touches it within UNSEEN (see valkey.py); one that died doesn't.
local SEATED = 2 * UNSEEN
local TOMBSTONE = 24 * 3600
local LARGEST = '9223372036854775807'

local function is_below(one, other)
  return #one < #other or (#one == #other and one < other)
end

local function successor(version)
  if version == LARGEST then return version end
  if #version < 15 then return string.format('%d', version + 1) end
  local head, tail = version:sub(1, -10), version:sub(-9) + 1
  if tail < 1e9 then return head .. string.format('%09d', tail) end
  return successor(head) .. '000000000'
end

local function is_live(kept)
  return kept and kept:sub(1, 1) ~= 'x'
end

-- A tombstone's second and version; none if it is too old.
local function read_tombstone(agent, kept)
  local gone_at, version = kept:match('^x(%d+):(%d+)$')
  if agent.now - gone_at < TOMBSTONE then return gone_at, version end
end

local function is_channel(field)
  return #field > 1
end

local function drop(agent)
  redis.call('DEL', agent.key)
  agent.seat = nil
end

-- An agent as it is; without a seat (nil) if it isn't there, is too old, or of a former epoch.
local function open(key, epoch, now)
  local agent = { key = key, epoch = epoch, now = tonumber(now) }
  local meta = redis.call('HGET', key, 'm')
  if not meta then return agent end
  local found, seat = meta:match('^(%d+) (.*)$')
  if is_below(epoch, found) then
    agent.error = redis.error_reply('LATEREPOCH the agent is of a later epoch')
    return agent
  end
  agent.seat = seat
  local seen_at = seat:match('^@(%d+)$')
  if found ~= epoch or (seen_at and agent.now - seen_at >= UNSEEN) then drop(agent) end
  return agent
end

local function sit(agent, seat, wakeup, seconds)
  agent.seat = seat
  redis.call('HSET', agent.key, 'm', agent.epoch .. ' ' .. seat)
  if wakeup then redis.call('HSET', agent.key, 'w', wakeup) end
  redis.call('EXPIRE', agent.key, seconds)
end

-- The live channels as field, value, …; tombstones that are too old go by the way.
local function read_live(agent)
  local live, fields = {}, redis.call('HGETALL', agent.key)
  for at = 1, #fields, 2 do
    local field, kept = fields[at], fields[at + 1]
    if is_channel(field) then
      if is_live(kept) then
        live[#live + 1] = field
        live[#live + 1] = kept
      elseif not read_tombstone(agent, kept) then
        redis.call('HDEL', agent.key, field)
      end
    end
  end
  return live
end

local function is_full(agent, limit)
  -- All fields but the seat's: counted one by one only when they could be too many.
  if redis.call('HLEN', agent.key) - 1 < limit then return false end
  return #read_live(agent) / 2 >= limit
end

local function read_pending(agent)
  local pending, live = {}, read_live(agent)
  for at = 1, #live, 2 do
    local version, acked = live[at + 1]:match('^(%d+):(%d+)')
    if is_below(acked, version) then
      pending[#pending + 1] = live[at]
      pending[#pending + 1] = live[at + 1]
    end
  end
  return pending
end

-- The seat at which the agent sits, if it does and that isn't this one; else false.
local function sits_elsewhere(agent, seat)
  if not agent.seat or agent.seat:sub(1, 1) == '@' or agent.seat == seat then return false end
  return agent.seat
end

local function node_of(seat)
  return seat:match(':(.*)$')
end

-- Each takes the agent, all arguments, and the indices of its first and last.
local calls = {}

function calls.enroll(agent, args, first, last)
  local other = sits_elsewhere(agent, args[first])
  sit(agent, args[first], last > first and args[last], SEATED)
  return other
end

function calls.attach(agent, args, first, last)
  if not agent.seat then return false end
  local other = sits_elsewhere(agent, args[first])
  sit(agent, args[first], last > first and args[last], SEATED)
  return { other, read_live(agent) }
end

function calls.resume(agent, args, first)
  if not agent.seat then return false end
  local other = sits_elsewhere(agent, args[first])
  if other and node_of(other) ~= node_of(args[first]) then return { other, {} } end
  sit(agent, args[first], nil, SEATED)
  return { false, read_pending(agent) }
end

function calls.detach(agent, args, first)
  if agent.seat == args[first] then sit(agent, '@' .. string.format('%d', agent.now), nil, UNSEEN) end
  return true
end

function calls.register(agent, args, first)
  local field, spelling, limit = args[first], args[first + 1], tonumber(args[first + 2])
  if not agent.seat then return 'unknown' end
  local kept = redis.call('HGET', agent.key, field)
  if not is_live(kept) and is_full(agent, limit) then return 'full' end
  local version, acked = '0', '0'
  if is_live(kept) then
    version, acked = kept:match('^(%d+):(%d+)')
  elseif kept then
    local _, revived = read_tombstone(agent, kept)
    version, acked = revived or '0', revived or '0'
  end
  redis.call('HSET', agent.key, field, version .. ':' .. acked .. spelling)
  return 'done'
end

function calls.unregister(agent, args, first)
  local field = args[first]
  local kept = agent.seat and redis.call('HGET', agent.key, field)
  if is_live(kept) then
    local version = kept:match('^(%d+):')
    kept = string.format('x%d:', agent.now) .. version
  end
  if kept then redis.call('HSET', agent.key, field, kept) end
  return true
end

function calls.advance(agent, args, first)
  local field, version = args[first], args[first + 1]
  local kept = agent.seat and redis.call('HGET', agent.key, field)
  if not is_live(kept) then
    if kept then redis.call('HSET', agent.key, field, kept) end
    return false
  end
  local stored, acked, spelling = kept:match('^(%d+):(%d+)(.*)$')
  if version == '' then
    version = string.format('%d', agent.now)
    if not is_below(stored, version) then version = successor(stored) end
  end
  if is_below(version, stored) then version = stored end
  redis.call('HSET', agent.key, field, version .. ':' .. acked .. spelling)
  return { version, spelling, is_below(acked, version) and agent.seat:sub(1, 1) ~= '@' and agent.seat }
end

function calls.ack(agent, args, first, last)
  for at = first, agent.seat and last or 0, 2 do
    local kept = redis.call('HGET', agent.key, args[at])
    if is_live(kept) then
      local version, acked, spelling = kept:match('^(%d+):(%d+)(.*)$')
      if is_below(acked, args[at + 1]) and not is_below(version, args[at + 1]) then
        redis.call('HSET', agent.key, args[at], version .. ':' .. args[at + 1] .. spelling)
      end
    end
  end
  return true
end

function calls.forget(agent)
  drop(agent)
  return true
end

-- Reads a mark of the epoch, raised to what the caller knows of it (0 and '' if nothing). If it was lost since
-- the caller looked, it tells of the next epoch: once for all who look.
function calls.check(agent, args, first)
  local known, next_epoch, known_born, new_born = tonumber(args[first]), args[first + 1], args[first + 2], args[first + 3]
  local stored = redis.call('HMGET', agent.key, 'epoch', 'born')
  local epoch, born = tonumber(stored[1]), stored[2]
  local is_made = not epoch
  if is_made then
    epoch, born = tonumber(next_epoch), new_born
  elseif epoch < known then
    epoch = known
  elseif epoch == known and known_born ~= '' and born ~= known_born then
    epoch = tonumber(next_epoch)
  end
  redis.call('HSET', agent.key, 'epoch', epoch, 'born', born)
  return { epoch, born, is_made and 1 or 0 }
end

-- Keeps the first of some names, unless another one than these is kept already; returns what is kept.
function calls.claim(agent, args, first, last)
  local kept = redis.call('HGET', agent.key, 'kept')
  for at = first, last do
    if kept == args[at] then kept = false end
  end
  if not kept then
    kept = args[first]
    redis.call('HSET', agent.key, 'kept', kept)
  end
  return kept
end

-- Begins an epoch, in which no agent of a former one is known.
function calls.bump(agent, args, first)
  local epoch = tonumber(redis.call('HGET', agent.key, 'epoch') or '0')
  redis.call('HSET', agent.key, 'epoch', math.max(epoch, args[first]))
  redis.call('HSETNX', agent.key, 'born', args[first + 1])
  return true
end

-- Whoever asked was told that it failed, and may have done something else since: it must not be undone.
local function is_late(time, until_ms)
  return time[1] * 1000 + time[2] / 1000 > tonumber(until_ms)
end

local LATE = 'LATE nobody waits for the answer any more'

-- KEYS: the agent. ARGV: the epoch, the second or '' for the engine's own, the millisecond of the engine's clock until
-- which anybody waits for the answer, then each call: its name, the number of its arguments, and those.
redis.register_function('@name@', function(keys, args)
  local time = redis.call('TIME')
  if is_late(time, args[3]) then return redis.error_reply(LATE) end
  local agent = open(keys[1], args[1], args[2] == '' and time[1] or args[2])
  if agent.error then return agent.error end
  local answers, at = {}, 4
  while args[at] do
    local last = at + 1 + args[at + 1]
    answers[#answers + 1] = calls[args[at]](agent, args, at + 2, last)
    at = last + 1
  end
  return answers
end)

-- No keys, as a channel isn't one: a slot that is about to move still has its subscribers here. ARGV: the channel, the
-- millisecond as above, then each message. Answers how many heard each; a replica refuses, as this may write.
redis.register_function('@name@_tell', function(_, args)
  if is_late(redis.call('TIME'), args[2]) then return redis.error_reply(LATE) end
  local heard = {}
  for at = 3, #args do
    heard[at - 2] = redis.call('SPUBLISH', args[1], args[at])
  end
  return heard
end)
