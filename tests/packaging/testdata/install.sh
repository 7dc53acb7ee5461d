#!/bin/bash
# Installs old.deb, writes data, upgrades to new.deb, removes and purges, and looks at what is there after each step. It runs
# in the copy of the machine that throwaway.sh makes. There is no systemd: start and stop do what the unit says.
set -eu

step() { echo "== $*"; }
fail() { echo "FAILED: $*" >&2; cat /var/log/ferrous/*.log >&2 || true; exit 1; }
have() { [ -e "$1" ] || fail "$1 is not there"; }
gone() { [ ! -e "$1" ] && [ ! -L "$1" ] || fail "$1 is still there"; }
is() { [ "$2" = "$3" ] || fail "$1: '$2' instead of '$3'"; }
cli() { redis-cli -s /run/ferrous/ferrous.sock "$@"; }

. ./service.sh

rm -f /var/lib/man-db/auto-update # the index of all manuals takes its time

step "beside Debian's redis-server"
before=$(readlink -f /usr/bin/redis-server)
dpkg -i old.deb
is redis-server "$(readlink -f /usr/bin/redis-server)" "$before"
dpkg --purge ferrous
is redis-server "$(readlink -f /usr/bin/redis-server)" "$before"
gone /var/lib/ferrous
rm -f /usr/bin/redis-server # from here on as on a machine without it

step install
dpkg -i old.deb
is "owner of the configuration" "$(stat -c %U:%G:%a /etc/ferrous/ferrous.conf)" ferrous:ferrous:640
is "owner of the data" "$(stat -c %U:%G:%a /var/lib/ferrous)" ferrous:ferrous:750
is "owner of the log" "$(stat -c %U:%G:%a /var/log/ferrous)" ferrous:adm:2750
have /usr/share/doc/ferrous/copyright
have /usr/share/doc/ferrous/changelog.Debian.gz
have /usr/share/doc/ferrous/manual/security.md
redis-server --version | grep -q "commit=0.1.0~1-1 " || fail "redis-server is not this one"
MANPAGER=cat man ferrous.conf | grep -q "maxmemory-policy" || fail "no man page"
if command -v systemd-analyze >/dev/null; then
  systemd-analyze verify /usr/lib/systemd/system/ferrous.service 2>&1 | grep -i ferrous && fail "systemd finds faults in the unit"
  systemd-analyze security --offline=yes --threshold=25 /usr/lib/systemd/system/ferrous.service >/tmp/security || fail "$(tail -2 /tmp/security)"
fi
if command -v logrotate >/dev/null; then
  logrotate --debug /etc/logrotate.d/ferrous 2>&1 | grep -i "^error" && fail "logrotate finds faults"
fi

step "write data"
start
grep -q "Ready to accept connections" /var/log/ferrous/ferrous.log || fail "no log of the start"
is SET "$(cli set kept value)" OK
is RPUSH "$(cli rpush list 1 2 3)" 3
is "CONFIG REWRITE" "$(cli config rewrite)" OK
stop
have /var/lib/ferrous/dump.rdb
start
mv /var/log/ferrous/ferrous.log /var/log/ferrous/ferrous.log.1
is BGSAVE "$(cli bgsave)" "Background saving started"
for _ in $(seq 100); do [ -e /var/log/ferrous/ferrous.log ] && break; sleep 0.1; done
have /var/log/ferrous/ferrous.log

step "upgrade over the running server"
echo "maxmemory 123mb" >>/etc/ferrous/ferrous.conf
dpkg -i --force-confold new.deb
is "GET before the restart" "$(cli get kept)" value
stop
start
is version "$(ferrous --version | grep -o 'commit=[^ ,]*')" "commit=0.1.0~2-1"
is GET "$(cli get kept)" value
is LLEN "$(cli llen list)" 3
is "the changed configuration" "$(cli config get maxmemory | tail -1)" 128974848
is "owner of the configuration" "$(stat -c %U:%G:%a /etc/ferrous/ferrous.conf)" ferrous:ferrous:640

step remove
stop
dpkg -r ferrous
gone /usr/bin/ferrous
gone /usr/bin/redis-server
gone /usr/share/man/man1/ferrous.1.gz
have /var/lib/ferrous/dump.rdb
have /etc/ferrous/ferrous.conf

step "install again, with the data of before"
dpkg -i --force-confold new.deb
start
is GET "$(cli get kept)" value
stop

step purge
dpkg --purge ferrous
gone /etc/ferrous/ferrous.conf
gone /etc/logrotate.d/ferrous
gone /var/log/ferrous
have /var/lib/ferrous/dump.rdb

step "purge with the data"
dpkg -i new.deb
echo "ferrous ferrous/purge-data boolean true" | debconf-set-selections
dpkg --purge ferrous
gone /var/lib/ferrous
getent passwd ferrous >/dev/null || fail "the user has gone"
step done
