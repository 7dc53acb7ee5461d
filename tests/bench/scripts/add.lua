-- Adds a job. KEYS: wait, paused, meta, id, priorities, marker, events. ARGV: settings of the job (MessagePack: prefix,
-- name, clock in ms, an id or nil, a key that must be unique or nil), its data, its options (MessagePack).
local waitKey, pausedKey, metaKey, idKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prioritiesKey, markerKey, eventsKey = KEYS[5], KEYS[6], KEYS[7]

local args = cmsgpack.unpack(ARGV[1])
local data = ARGV[2]
local opts = cmsgpack.unpack(ARGV[3])
local prefix, name, now = args[1], args[2], args[3]
local wantedId, uniqueKey = args[4], args[5]

local function maxEvents()
  local n = redis.call('HGET', metaKey, 'opts.maxEvents')
  if not n then
    n = 10000
    redis.call('HSET', metaKey, 'opts.maxEvents', n)
  end
  return n
end

local function emit(limit, event, ...)
  redis.call('XADD', eventsKey, 'MAXLEN', '~', limit, '*', 'event', event, ...)
end

-- Refuses a job whose unique key belongs to one that has not ended.
local function isDuplicate(limit, id)
  if not uniqueKey then
    return false
  end
  local holder = redis.call('GET', uniqueKey)
  if holder then
    emit(limit, 'duplicated', 'jobId', holder, 'wanted', id)
    return true
  end
  local ttl = opts['unique'] and opts['unique']['ttl']
  if ttl and ttl > 0 then
    redis.call('SET', uniqueKey, id, 'PX', ttl)
  else
    redis.call('SET', uniqueKey, id)
  end
  return false
end

local function store(limit, key, id)
  local delay = opts['delay'] or 0
  local priority = opts['priority'] or 0
  local optional = {}
  if opts['backoff'] then
    table.insert(optional, 'backoff')
    table.insert(optional, cjson.encode(opts['backoff']))
  end
  if uniqueKey then
    table.insert(optional, 'unique')
    table.insert(optional, uniqueKey)
  end
  redis.call('HMSET', key, 'name', name, 'data', data, 'opts', cjson.encode(opts), 'timestamp', now,
    'delay', delay, 'priority', priority, unpack(optional))
  emit(limit, 'added', 'jobId', id, 'name', name)
  return delay, priority
end

-- Where jobs go now: the list, and whether workers may take more.
local function target()
  local values = redis.call('HMGET', metaKey, 'paused', 'concurrency')
  if values[1] then
    return pausedKey, true
  end
  return waitKey, false
end

local function mark(stopped)
  if not stopped then
    redis.call('ZADD', markerKey, 0, '0')
  end
end

local count = redis.call('INCR', idKey)
local limit = maxEvents()
local id, key
if not wantedId or wantedId == '' then
  id = tostring(count)
  key = prefix .. id
else
  id = wantedId
  key = prefix .. id
  if redis.call('EXISTS', key) == 1 then
    emit(limit, 'duplicated', 'jobId', id)
    return id
  end
end
if isDuplicate(limit, id) then
  return id
end
local delay, priority = store(limit, key, id)
local list, stopped = target()
if priority > 0 then
  local score = priority * 0x100000000 + count % 0x100000000
  redis.call('ZADD', prioritiesKey, score, id)
elseif opts['lifo'] then
  redis.call('RPUSH', list, id)
else
  redis.call('LPUSH', list, id)
end
mark(stopped)
emit(limit, 'waiting', 'jobId', id)
return id
