#!/bin/bash
# Runs the commands of the manual and the README, page by page, in the copy of the machine that throwaway.sh makes, where
# new.deb gets installed. A command is a line that begins with "$ " in a block that is marked as console; the lines behind it are
# what it must print, "..." standing for any lines. A client is tried again for a while, since a server that the line before has
# started in the background needs a moment, as a person would. Commands run as an ordinary user, who becomes root with sudo only.
set -u

. ./service.sh
dpkg -i new.deb >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; exit 1; }

# What the machine of a reader has.
useradd --create-home reader
install -m 4755 /bin/bash /usr/local/bin/bash-of-root
cat >/usr/local/bin/sudo <<'SUDO'
#!/usr/local/bin/bash-of-root -p
exec setpriv --reuid=root --regid=root --init-groups "$@"
SUDO
cat >/usr/local/bin/systemctl <<'SYSTEMCTL'
#!/bin/bash
. /tmp/service.sh
[ "$2" = ferrous ] || exit 1
case $1 in
start) start ;;
stop) stop ;;
restart) stop && start ;;
status) running ;;
*) exit 1 ;;
esac
SYSTEMCTL
chmod +x /usr/local/bin/sudo /usr/local/bin/systemctl
cp -a /etc/ferrous /tmp/etc

# matches reports whether the output $1 is the expected $2: each "..." of it stands for any lines, or none.
matches() {
  local pattern= line
  if [ -z "$2" ]; then
    [ -z "$1" ]
    return
  fi
  while IFS= read -r line; do
    if [ "$line" = ... ]; then pattern+='*'; else pattern+=$(printf '%q' "$line"$'\n'); fi
  done <<<"$2"
  eval "[[ \$1\$'\\n' == $pattern ]]"
}

failures=0
count=0
outputs=$(mktemp)
try() { # place, command, expected
  local tries=1 output status
  count=$((count + 1))
  case $2 in
  redis-cli* | *"ferrous --ping"*) tries=100 ;;
  esac
  while :; do
    if [[ $2 == 'cd '* ]]; then
      eval "$2" >"$outputs" 2>&1
    else
      runuser -u reader -- bash -c "$2" </dev/null >"$outputs" 2>&1
    fi
    status=$?
    output=$(cat "$outputs")
    if [ $status = 0 ] && matches "$output" "$3"; then return; fi
    tries=$((tries - 1))
    [ $tries = 0 ] && break
    sleep 0.1
  done
  failures=$((failures + 1))
  printf 'FAILED: %s: %s\nexit code %d, printed\n%s\nwanted\n%s\n' "$1" "$2" $status "$output" "$3"
}

page() { # file
  local line number=0 inside=no command= expected= place=
  while IFS= read -r line; do
    number=$((number + 1))
    case $inside in
    no) [ "$line" = '```console' ] && inside=yes ;;
    yes)
      if [[ $line == '$ '* || $line == '```' ]]; then
        [ -n "$command" ] && try "$place" "$command" "$expected"
        command= expected=
      fi
      if [ "$line" = '```' ]; then
        inside=no
      elif [[ $line == '$ '* ]]; then
        command=${line:2} place=$(basename "$1"):$number
      else
        expected+=${expected:+$'\n'}$line
      fi
      ;;
    esac
  done <"$1"
}

for file in /tmp/README.md /usr/share/doc/ferrous/manual/*.md; do
  cd /tmp
  stop
  rm -rf /etc/ferrous /var/lib/ferrous/* /var/log/ferrous/*
  cp -a /tmp/etc /etc/ferrous
  start || exit 1
  case $file in
  */from-redis.md) redis-server --port 6380 --dir /var/lib/redis --dbfilename dump.rdb --daemonize yes >/dev/null ;;
  esac
  page "$file"
done
echo "$count commands"
[ $failures = 0 ] || exit 1
[ $count -gt 50 ] || { echo "that is too few"; exit 1; }
echo "== done"
