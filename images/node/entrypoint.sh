#!/bin/sh
# Makes a container fit for systemd and kubelet, then becomes systemd.
set -eu
# Without --privileged the engine mounts these read-only; systemd, kubelet and containerd must write there.
# cgroup v2 is one mount at /sys/fs/cgroup; v1 is one per controller below it.
mount -o remount,bind,rw /sys 2>/dev/null || true
for mounted in /sys/fs/cgroup /sys/fs/cgroup/*; do
    if mountpoint -q "$mounted"; then mount -o remount,bind,rw "$mounted" 2>/dev/null || true; fi
done
# kubelet's volumes must reach the containers below it.
mount --make-rshared /
# kubelet's OOM watcher opens it; not every engine passes it on.
[ -e /dev/kmsg ] || ln -s /dev/console /dev/kmsg
exec /sbin/init
