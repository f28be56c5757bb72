#!/bin/sh
# Stops kubelet and every container that it started, and unmounts what those had mounted. Other namespaces of containerd,
# other containers and other mounts are left alone.
set -u
export LC_ALL=C
ctr() { command ctr --namespace k8s.io --connect-timeout 5s "$@"; }

systemctl stop kubelet 2>/dev/null
if command -v ctr >/dev/null 2>&1 && systemctl cat containerd >/dev/null 2>&1; then
    # A containerd that was stopped leaves its containers running; only it can end them.
    systemctl is-active --quiet containerd || systemctl start containerd
    found=$(ctr containers list --quiet)
    for id in $(ctr tasks list --quiet); do ctr tasks kill --all --signal SIGKILL "$id" >/dev/null 2>&1; done
    deadline=$(($(date +%s) + 20))
    for id in $(ctr tasks list --quiet); do
        until ctr tasks delete --force "$id" >/dev/null 2>&1; do
            ctr tasks list --quiet | grep -qxF "$id" || break
            [ "$(date +%s)" -lt "$deadline" ] || break
            sleep 0.2
        done
    done
    for id in $(ctr containers list --quiet); do ctr containers delete "$id" >/dev/null 2>&1; done
    left=$(ctr tasks list --quiet)
    [ -z "$left" ] || { echo "these containers did not end: $left" >&2; exit 1; }
    sandboxes=$(awk '$5 ~ "^/run/containerd/io.containerd.grpc.v1.cri/sandboxes/" {print $5}' /proc/self/mountinfo)
    for mount in $sandboxes; do umount "$mount"; done
    # Its memory of pods that are gone would meet the next kubelet.
    [ -z "$found" ] || systemctl restart containerd
fi
# Only what kubelet mounted for pods: a mount that someone else made below /var/lib/kubelet stays.
awk '$5 ~ "^/var/lib/kubelet/pods/[0-9a-f-]+/" {print $5}' /proc/self/mountinfo | sort -r | while read -r mount; do
    umount "$mount" 2>/dev/null || umount --lazy "$mount"
done
for name in $(ip netns list 2>/dev/null | awk '$1 ~ "^cni-" {print $1}'); do ip netns delete "$name"; done
exit 0
