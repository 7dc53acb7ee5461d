#!/bin/bash
# Runs the server as the image of packaging/container/Containerfile would: in a root that is empty but for the binary, and
# read-only but for /data, as user 65532. It runs in the copy of the machine that throwaway.sh makes.
set -eu

fail() { echo "FAILED: $*" >&2; exit 1; }
image=/tmp/image
mkdir -p $image/data $image/dev $image/proc
cp ferrous $image/ferrous
touch $image/dev/null
mount --bind $image $image
mount -t tmpfs -o uid=65532,gid=65532,mode=700 tmpfs $image/data
mount --bind /dev/null $image/dev/null # every runtime of containers gives this and /proc
mount -t proc proc $image/proc
mount -o remount,ro,bind $image
touch $image/file 2>/dev/null && fail "the root can be written to"
inside() { exec chroot --userspec=65532:65532 $image "$@"; }

inside /ferrous --dir /data &
pid=$!
for _ in $(seq 600); do
  if (inside /ferrous --ping) >/tmp/ping 2>&1; then break; fi
  kill -0 $pid || fail "the server has ended"
  sleep 0.1
done
grep -q "^127.0.0.1:6379: PONG$" /tmp/ping || fail "health check: $(cat /tmp/ping)"
[ "$(awk '/^Uid/ {print $2}' /proc/$pid/status)" = 65532 ] || fail "the server runs as another user"
[ "$(redis-cli set key value)" = OK ] || fail SET
[ "$(redis-cli config set appendonly yes)" = OK ] || fail "CONFIG SET"
[ "$(redis-cli bgsave)" != "" ] || fail BGSAVE
kill -TERM $pid
wait $pid || fail "the server ended with $?"
[ -s $image/data/dump.rdb ] || fail "nothing was saved"
inside /ferrous --dir /data --appendonly yes --requirepass change-me &
pid=$!
for _ in $(seq 600); do (FERROUS_PING_AUTH=change-me inside /ferrous --ping) >/dev/null 2>&1 && break; sleep 0.1; done
(FERROUS_PING_AUTH=change-me inside /ferrous --ping) || fail "the health check does not log in"
(inside /ferrous --ping) >/dev/null && fail "the health check passes without the password"
[ "$(redis-cli --no-auth-warning -a change-me get key)" = value ] || fail "the data did not come back"
kill -TERM $pid
wait $pid
(inside /ferrous --ping) >/dev/null && fail "the health check finds a server that has ended"
echo "== done"
