#!/bin/sh
# Written by kubelab. etcd-restore SNAPSHOT KEPT: makes etcd begin again, as the cluster's only member, with what a
# snapshot holds. The data of before is moved to the folder KEPT. Called again after it was cut off, it goes on.
# https://kubernetes.io/docs/tasks/administer-cluster/configure-upgrade-etcd/#restoring-an-etcd-cluster
set -eu
umask 077
snapshot=$1
kept=$2
# shellcheck source=host-setup/templates/static-pods.sh
. "$(dirname "$0")/static-pods.sh"
exec 9> /run/kubelab-kubeadm.lock
flock --timeout 300 9
manifests=/etc/kubernetes/manifests
held=/etc/kubernetes/kubelab/held
fresh=/var/lib/etcd.kubelab-restored

# The manifests are held elsewhere while nothing may run; whatever happens, they come back.
give_back() {
  for name in etcd kube-apiserver; do
    if [ -e "$held/$name.yaml" ]; then mv -f "$held/$name.yaml" "$manifests/$name.yaml"; fi
  done
  rmdir "$held" 2>/dev/null || true
}
trap give_back EXIT
give_back

flag() {
  sed -n "s/^ *- --$1=//p" "$manifests/etcd.yaml"
}
name=$(flag name)
peer=$(flag initial-advertise-peer-urls)
rm -rf "$fresh"
# Revisions that jump ahead make every client list anew, instead of waiting for what it has seen already.
etcdutl snapshot restore "$snapshot" --data-dir="$fresh" --name="$name" --initial-cluster="$name=$peer" \
    --initial-advertise-peer-urls="$peer" --bump-revision=1000000000 --mark-compacted >&2 9>&-

mkdir -p "$held"
for component in kube-apiserver etcd; do
  mv -f "$manifests/$component.yaml" "$held/$component.yaml"
  await 120 "the end of $component" is_stopped "$component"
done
if [ -e /var/lib/etcd ]; then mkdir -p "$(dirname "$kept")"; mv /var/lib/etcd "$kept"; fi
mv "$fresh" /var/lib/etcd
give_back
await 180 "the API server" is_ready
# What remembers objects that are no more begins anew too.
for component in kube-controller-manager kube-scheduler; do restart "$component"; done
systemctl restart kubelet
