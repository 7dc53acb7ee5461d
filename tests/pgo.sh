#!/usr/bin/env bash
# Writes a new default.pgo:
#
#   tests/pgo.sh FERROUS OUT
#
# It serves redis-benchmark's tests at three pipelines, small and large collections, streams and scripts with the binary FERROUS,
# which writes a CPU profile. The Go compiler reads default.pgo when it builds the server: it puts the functions that the
# profile shows as hot into their callers.
set -euo pipefail

binary=$(realpath "$1") out=$(realpath -m "$2")
dir=$(mktemp -d)
port=$((20000 + RANDOM % 9000))
trap 'kill $server 2>/dev/null || true; rm -rf "$dir"' EXIT
FERROUS_CPUPROFILE=$dir/cpu "$binary" --port $port --save '' --appendonly no --dir "$dir" >"$dir/log" 2>&1 &
server=$!
until redis-cli -p $port ping 2>/dev/null | grep -q PONG; do sleep 0.1; done

# load PIPELINE REQUESTS ARGUMENTS: redis-benchmark with 100,000 different keys.
load() { redis-benchmark -p $port -q -r 100000 -P "$1" -n "$2" "${@:3}" >/dev/null; }

for round in "1 60000" "16 500000" "100 900000"; do
  read -r pipeline requests <<<"$round"
  load "$pipeline" "$requests" -t ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,mset
  load "$pipeline" $((requests / 8)) -t lrange_100
done
load 16 400000 hget myhash element:__rand_int__
load 16 400000 hset h:__rand_int__ f v g w
load 16 400000 zadd z:__rand_int__ 1 a 2 b
load 16 400000 sadd s:__rand_int__ a b c
load 16 400000 xadd stream '*' field value
load 16 200000 eval "return redis.call('get',KEYS[1])" 1 key:__rand_int__
load 16 200000 setex k:__rand_int__ 100 v
load 16 200000 del k:__rand_int__
kill $server
wait $server || true
mv "$dir/cpu" "$out"
