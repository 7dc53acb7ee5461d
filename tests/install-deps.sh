#!/usr/bin/env bash
# Installs the Debian packages that hold the named commands, where they are missing:
#   tests/install-deps.sh redis-server redis-cli cc
# Works as root or through sudo, and says what it does.
set -euo pipefail

packages=()
for command in "$@"; do
  if command -v "$command" >/dev/null; then
    continue
  fi
  case "$command" in
    redis-server) packages+=(redis-server) ;;
    redis-cli | redis-benchmark) packages+=(redis-tools) ;;
    cc) packages+=(gcc libc6-dev) ;;
    man) packages+=(man-db) ;;
    ip) packages+=(iproute2) ;;
    *) packages+=("$command") ;;
  esac
done
if [ ${#packages[@]} -eq 0 ]; then
  exit 0
fi

if ! command -v apt-get >/dev/null; then
  echo "The tests need $* on the PATH; there is no apt-get here to install them with." >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "The tests need the packages ${packages[*]}: install them as root (there is no sudo here)." >&2
    exit 1
  fi
  as_root=(sudo)
fi

# Debian starts a redis-server on port 6379 as soon as its package is installed. The tests start their own on
# free ports, so the service is kept from starting by a policy that is removed again.
policy=/usr/sbin/policy-rc.d
made_policy=no
remove_policy() {
  if [ $made_policy = yes ]; then
    "${as_root[@]}" rm -f $policy
  fi
}
trap remove_policy EXIT
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  made_policy=yes
  "${as_root[@]}" chmod 755 $policy
fi

echo "Installing ${packages[*]} with apt-get for the tests."
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q
"${as_root[@]}" apt-get install -q -y --no-install-recommends "${packages[@]}"
