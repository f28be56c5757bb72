#!/bin/sh
# Keeps a cluster's certificates, keys and etcd data before they are removed: an archive that only root can read. Its name
# is the first argument. etcd has been stopped by then, so that its files are of one moment.
set -eu
umask 077
set -- "$1/cluster-$(date -u +%Y%m%dT%H%M%SZ).tar.gz"
found=
for path in etc/kubernetes var/lib/etcd; do [ -e "/$path" ] && found="$found $path"; done
[ -e /etc/kubernetes/kubelet.conf ] || [ -e /var/lib/etcd/member ] || exit 0
mkdir -p "$(dirname "$1")"
# shellcheck disable=SC2086 # two fixed paths without spaces
tar --create --gzip --directory / --file "$1.partial" $found || { rm -f "$1.partial"; exit 1; }
mv "$1.partial" "$1"
sync "$1" 2>/dev/null || sync
echo "kept $1"
