#!/bin/sh
# Written by kubelab. renew-certificates DAYS: renews the certificates of this control plane when one of them has fewer
# than DAYS days left, and starts what holds the old ones anew: not every part reads them again by itself.
# https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-certs/#manual-certificate-renewal
set -eu
days=$1
# shellcheck source=host-setup/templates/static-pods.sh
. "$(dirname "$0")/static-pods.sh"
exec 9> /run/kubelab-kubeadm.lock
flock --timeout 300 9
pending=/run/kubelab-certificates-renewed

# The least of the days left, of what is there and kubeadm's to renew; authorities have no authority above them.
left=$(kubeadm certs check-expiration --output=json 2>/dev/null 9>&- | awk -v RS='}' '
  /"caName"/ && !/"missing": true/ && !/"externallyManaged": true/ && match($0, /"residualTime": -?[0-9]+/) {
    seconds = substr($0, RSTART + 16, RLENGTH - 16) + 0
    if (least == "" || seconds < least) least = seconds
  }
  END { if (least == "") exit 1; print int(least / 86400) }')

# Killed between the renewal and the restarts, the next call makes up for it; a restarted host has started all anew.
if [ "$left" -ge "$days" ] && [ ! -e "$pending" ]; then
  echo "nothing is renewed: $left days are left"
  exit 0
fi
: > "$pending"
kubeadm certs renew all >&2 9>&-
for component in etcd kube-apiserver kube-controller-manager kube-scheduler; do
  restart "$component"
  case $component in kube-apiserver) await 120 "the API server" is_ready ;; esac
done
rm -f "$pending"
echo "renewed: $left days were left"
