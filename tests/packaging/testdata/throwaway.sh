#!/bin/bash
# Runs a script in a throwaway copy of this machine:
#
#   unshare --mount --net --pid --fork --kill-child throwaway.sh SCRIPT FILE...
#
# The root is an overlay on the machine's own, whose changes lie in memory and go with the mount namespace. The network is an
# empty one, so that any port is free, and processes end with the namespace. The files are copied to /tmp, where SCRIPT runs.
set -eu

mount --make-rprivate /
root=$(mktemp -d)
mount -t tmpfs tmpfs "$root"
mkdir "$root/changes" "$root/work" "$root/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/changes,workdir=$root/work" "$root/root"
mount -t proc proc "$root/root/proc"
mount --rbind /dev "$root/root/dev"
mount -t tmpfs tmpfs "$root/root/run"
mount -t tmpfs tmpfs "$root/root/tmp"
chmod 1777 "$root/root/tmp"
ip link set lo up
for file in "$@"; do
  cp "$file" "$root/root/tmp/"
done
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
exec chroot "$root/root" /bin/bash -c 'cd /tmp && exec bash "$0"' "$(basename "$1")"
