-- Ends a job. KEYS: active, completed, failed, events, stalled, meta, metrics, the job, marker. ARGV: id, clock in ms, field
-- of the result, result, target ("completed" or "failed"), prefix, options (MessagePack: token, keep, metrics, attempts).
local activeKey, eventsKey, stalledKey, metaKey = KEYS[1], KEYS[4], KEYS[5], KEYS[6]
local metricsKey, jobKey = KEYS[7], KEYS[8]
local id, now, field, result, target, prefix = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local opts = cmsgpack.unpack(ARGV[7])
local setKey = target == 'completed' and KEYS[2] or KEYS[3]

local function release(token)
  local lockKey = jobKey .. ':lock'
  local holder = redis.call('GET', lockKey)
  if holder == token then
    redis.call('DEL', lockKey)
    redis.call('SREM', stalledKey, id)
    return 0
  end
  if holder then
    return -6
  end
  return -2
end

local function remove(key)
  redis.call('DEL', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed')
end

-- Deletes ended jobs beyond the number, and older than the age, that are kept.
local function trim(keep)
  local age, count = keep['age'], keep['count']
  if age then
    local old = redis.call('ZRANGEBYSCORE', setKey, '-inf', now - age * 1000, 'LIMIT', 0, 1000)
    for _, other in ipairs(old) do
      remove(prefix .. other)
    end
    if #old > 0 then
      redis.call('ZREM', setKey, unpack(old))
    end
  end
  if count and count > 0 then
    local more = redis.call('ZRANGE', setKey, 0, -(count + 1))
    for _, other in ipairs(more) do
      remove(prefix .. other)
    end
    if #more > 0 then
      redis.call('ZREMRANGEBYRANK', setKey, 0, #more - 1)
    end
  end
end

-- Counts ended jobs by the minute.
local function collect(dataKey, size)
  local count = redis.call('HINCRBY', metricsKey, 'count', 1) - 1
  local before = redis.call('HGET', metricsKey, 'prevTS')
  if not before then
    redis.call('HSET', metricsKey, 'prevTS', now, 'prevCount', 0)
    return
  end
  local minutes = math.min(math.floor((now - tonumber(before)) / 60000), tonumber(size))
  if minutes > 0 then
    local delta = count - (tonumber(redis.call('HGET', metricsKey, 'prevCount')) or 0)
    if minutes > 1 then
      local points = {}
      for i = 1, minutes - 1 do
        points[i] = 0
      end
      redis.call('LPUSH', dataKey, delta, unpack(points))
    else
      redis.call('LPUSH', dataKey, delta)
    end
    redis.call('LTRIM', dataKey, 0, size - 1)
    redis.call('HSET', metricsKey, 'prevCount', count, 'prevTS', now)
  end
end

if redis.call('EXISTS', jobKey) == 0 then
  return -1
end
local values = redis.call('HMGET', jobKey, 'parentKey', 'parent', 'unique', 'ats')
local code = release(opts['token'])
if code < 0 then
  return code
end
if redis.call('SCARD', jobKey .. ':dependencies') ~= 0 then
  return -4
end
local removed = redis.call('LREM', activeKey, -1, id)
if removed < 1 then
  return -3
end
local maxEvents = redis.call('HGET', metaKey, 'opts.maxEvents') or 10000
redis.call('XTRIM', eventsKey, 'MAXLEN', '~', maxEvents)
if values[3] and redis.call('GET', values[3]) == id then
  redis.call('DEL', values[3])
end
local keep = opts['keepJobs'] or {}
if keep['count'] ~= 0 then
  redis.call('ZADD', setKey, now, id)
  redis.call('HMSET', jobKey, field, result, 'finishedOn', now)
  trim(keep)
else
  remove(jobKey)
end
redis.call('XADD', eventsKey, '*', 'event', target, 'jobId', id, field, result, 'prev', 'active')
if target == 'failed' and (tonumber(values[4]) or 0) >= (opts['attempts'] or 1) then
  redis.call('XADD', eventsKey, '*', 'event', 'retries-exhausted', 'jobId', id, 'attemptsMade', values[4])
end
if opts['maxMetricsSize'] and opts['maxMetricsSize'] ~= '' then
  collect(metricsKey .. ':data', opts['maxMetricsSize'])
end
if redis.call('LLEN', activeKey) == 0 and redis.call('EXISTS', KEYS[9]) == 0 then
  redis.call('XADD', eventsKey, '*', 'event', 'drained')
end
return 0
