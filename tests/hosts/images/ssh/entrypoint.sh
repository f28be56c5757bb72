#!/bin/sh
# The engine mounts /etc/hosts and writes it anew at each start; a host's own file stays as it is written.
set -eu
engine=$(cat /etc/hosts)
if umount /etc/hosts 2>/dev/null; then
    [ -s /etc/hosts ] || printf '%s\n' "$engine" >/etc/hosts
fi
exec /usr/local/bin/kubelab-node
