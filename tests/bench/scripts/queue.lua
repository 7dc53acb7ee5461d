-- A job of a queue is taken, the shape of what queue libraries send: KEYS are the lists wait and active, the hash of
-- settings, the set of stalled jobs and the stream of events, ARGV the prefix of jobs, the clock in ms, the worker's token
-- and the time that its lock lasts.
local wait, active = KEYS[1], KEYS[2]
local meta, stalled, events = KEYS[3], KEYS[4], KEYS[5]
local prefix, now, token, duration = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

local function settings()
  local values = redis.call('HMGET', meta, 'paused', 'concurrency', 'maxEvents')
  local paused, concurrency, maxEvents = values[1], values[2], values[3]
  if paused then
    return nil
  end
  if concurrency and redis.call('LLEN', active) >= tonumber(concurrency) then
    return nil
  end
  return tonumber(maxEvents) or 1000
end

local function lock(key)
  if redis.call('SET', key .. ':lock', token, 'PX', duration) then
    redis.call('SREM', stalled, key)
  end
end

local maxEvents = settings()
if not maxEvents then
  return false
end
local id = redis.call('RPOPLPUSH', wait, active)
if not id then
  return {false, 0}
end
local key = prefix .. id
lock(key)
redis.call('XADD', events, 'MAXLEN', '~', maxEvents, '*', 'event', 'active', 'jobId', id)
redis.call('HMSET', key, 'processedOn', now, 'token', token)
local attempts = redis.call('HINCRBY', key, 'attempts', 1)
return {redis.call('HGETALL', key), id, attempts}
