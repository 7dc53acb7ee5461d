-- Moves a job from wait to active. KEYS: wait, active, priorities, events, stalled, limiter, delayed, paused, meta,
-- counter of priorities, marker. ARGV: prefix, clock in ms, options of the worker (MessagePack: token, lock in ms, limiter).
local waitKey, activeKey, prioritiesKey, eventsKey, stalledKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local limiterKey, delayedKey, pausedKey, metaKey, counterKey = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local markerKey = KEYS[11]
local prefix, now = ARGV[1], tonumber(ARGV[2])
local opts = cmsgpack.unpack(ARGV[3])

local function emit(event, ...)
  redis.call('XADD', eventsKey, '*', 'event', event, ...)
end

-- The ms for which the limiter holds jobs back.
local function heldFor(max)
  if max and max <= tonumber(redis.call('GET', limiterKey) or 0) then
    local ttl = redis.call('PTTL', limiterKey)
    if ttl == 0 then
      redis.call('DEL', limiterKey)
    end
    if ttl > 0 then
      return ttl
    end
  end
  return 0
end

local function promote(target, stopped)
  local due = redis.call('ZRANGEBYSCORE', delayedKey, 0, (now + 1) * 0x1000 - 1, 'LIMIT', 0, 1000)
  if #due > 0 then
    redis.call('ZREM', delayedKey, unpack(due))
    for _, id in ipairs(due) do
      local priority = tonumber(redis.call('HGET', prefix .. id, 'priority')) or 0
      if priority == 0 then
        redis.call('LPUSH', target, id)
      else
        local order = redis.call('INCR', counterKey)
        redis.call('ZADD', prioritiesKey, priority * 0x100000000 + order % 0x100000000, id)
      end
      emit('waiting', 'jobId', id, 'prev', 'delayed')
      redis.call('HSET', prefix .. id, 'delay', 0)
    end
    if not stopped then
      redis.call('ZADD', markerKey, 0, '0')
    end
  end
end

local function settings()
  local values = redis.call('HMGET', metaKey, 'paused', 'concurrency', 'max', 'duration')
  if values[1] then
    return pausedKey, true, values[3], values[4]
  end
  if values[2] and redis.call('LLEN', activeKey) >= tonumber(values[2]) then
    return waitKey, true, values[3], values[4]
  end
  return waitKey, false, values[3], values[4]
end

local function prepare(key, id, max, duration)
  local name
  if max then
    local taken = tonumber(redis.call('INCR', limiterKey))
    if taken == 1 then
      redis.call('PEXPIRE', limiterKey, math.floor(duration))
    end
  end
  redis.call('SET', key .. ':lock', opts['token'], 'PX', opts['lockDuration'])
  local optional = {}
  if opts['name'] then
    table.insert(optional, 'pb')
    table.insert(optional, opts['name'])
  end
  redis.call('XADD', eventsKey, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
  redis.call('HMSET', key, 'processedOn', now, unpack(optional))
  redis.call('HINCRBY', key, 'ats', 1)
  redis.call('SREM', stalledKey, id)
  return {redis.call('HGETALL', key), id, 0, 0}
end

local function prioritized()
  local first = redis.call('ZPOPMIN', prioritiesKey)
  if #first > 0 then
    redis.call('LPUSH', activeKey, first[1])
    return first[1]
  end
  redis.call('DEL', counterKey)
end

local target, stopped, max, duration = settings()
promote(target, stopped)
local limiter = opts['limiter']
local most = tonumber(max or (limiter and limiter['max']))
local held = heldFor(most)
if held > 0 then
  return {0, 0, held, 0}
end
if stopped then
  return {0, 0, 0, 0}
end
local id = redis.call('RPOPLPUSH', waitKey, activeKey)
if id and string.sub(id, 1, 2) == '0:' then
  redis.call('LREM', activeKey, 1, id)
  id = redis.call('RPOPLPUSH', waitKey, activeKey)
end
if not id then
  id = prioritized()
end
if id then
  return prepare(prefix .. id, id, most, tonumber(duration or (limiter and limiter['duration'])))
end
local first = redis.call('ZRANGE', delayedKey, 0, 0, 'WITHSCORES')
if #first > 0 then
  return {0, 0, 0, math.floor(tonumber(first[2]) / 0x1000)}
end
return {0, 0, 0, 0}
