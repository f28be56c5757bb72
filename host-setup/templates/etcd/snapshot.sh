#!/bin/sh
# Written by kubelab. etcd-snapshot DIRECTORY KEEP: saves etcd's data, verifies it, keeps the newest KEEP, prints the path.
# A snapshot has its last name only when it is whole: a full disk leaves nothing behind.
set -eu
umask 077
directory=$1
keep=$2
pki=/etc/kubernetes/pki/etcd
mkdir -p "$directory"
chmod 700 "$directory"
exec 9> "$directory/.lock"
flock 9
# What an earlier call left that was killed; there is no other one while the lock is held.
rm -f "$directory"/.partial.db*
partial="$directory/.partial.db"
trap 'rm -f "$partial" "$partial".part' EXIT
/usr/local/bin/etcdctl --endpoints=https://127.0.0.1:2379 --cacert="$pki/ca.crt" \
    --cert="$pki/healthcheck-client.crt" --key="$pki/healthcheck-client.key" \
    --command-timeout=120s snapshot save "$partial" >&2
/usr/local/bin/etcdutl snapshot status "$partial" --write-out=json >&2
sync "$partial"
final="$directory/etcd-$(date -u +%Y%m%dT%H%M%SZ).db"
# Two within one second must not share a name.
while [ -e "$final" ]; do
  sleep 0.2
  final="$directory/etcd-$(date -u +%Y%m%dT%H%M%SZ).db"
done
mv "$partial" "$final"
# The names sort by time.
# shellcheck disable=SC2012 # the names are this program's own
ls -1r "$directory"/etcd-*.db | tail -n "+$((keep + 1))" | while read -r old; do rm -f "$old"; done
echo "$final"
