# The service as systemd would run it, for scripts in the copy of the machine, where there is no systemd.

# start starts what the unit says, as its user, and waits until the server is ready. The process id is in /run/ferrous.pid.
start() {
  install -d -o ferrous -g ferrous /run/ferrous
  local line
  line=$(sed -n 's/^ExecStart=//p' /usr/lib/systemd/system/ferrous.service | sed 's/--supervised systemd/--supervised no/')
  (
    umask 027
    exec setpriv --reuid=ferrous --regid=ferrous --init-groups --no-new-privs --bounding-set=-all $line
  ) </dev/null >/tmp/ferrous.out 2>&1 &
  echo $! >/run/ferrous.pid
  for _ in $(seq 600); do
    if ferrous --ping /etc/ferrous/ferrous.conf >/tmp/ping 2>&1; then return; fi
    if ! running; then break; fi
    sleep 0.1
  done
  echo "the server is not ready: $(cat /tmp/ping /tmp/ferrous.out /var/log/ferrous/ferrous.log 2>&1 | tail -20)" >&2
  return 1
}

running() { [ -e /run/ferrous.pid ] && [ "$(cat "/proc/$(cat /run/ferrous.pid)/comm" 2>/dev/null)" = ferrous ]; }

# stop ends the server with SIGTERM and waits for it.
stop() {
  if running; then
    kill -TERM "$(cat /run/ferrous.pid)"
    for _ in $(seq 600); do
      running || return 0
      sleep 0.1
    done
    return 1
  fi
}
