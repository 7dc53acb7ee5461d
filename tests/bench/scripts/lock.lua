-- Holds the lock of a job for longer. KEYS: lock, stalled. ARGV: token, ms, id of the job.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  if redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) then
    redis.call('SREM', KEYS[2], ARGV[3])
    return 1
  end
end
return 0
