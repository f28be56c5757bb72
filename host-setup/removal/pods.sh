#!/bin/sh
# Stops kubelet and every container that it started, and unmounts what those had mounted. Other namespaces of containerd,
# other containers and other mounts are left alone.
set -u
export LC_ALL=C
ctr() { command ctr --namespace k8s.io --connect-timeout 5s "$@"; }
mounts_below() { awk -v root="$1/" 'index($5, root) == 1 {print $5}' /proc/self/mountinfo | sort -r; }

# runc freezes a container's processes for a moment as it starts it. One that is cut off just then stays frozen, and with
# cgroup v1 not even SIGKILL reaches it.
thaw() {
    find /sys/fs/cgroup -path '*kubepods*' -name freezer.state -exec sh -c 'for f; do echo THAWED >"$f"; done' thaw {} +
    find /sys/fs/cgroup -path '*kubepods*' -name cgroup.freeze -exec sh -c 'for f; do echo 0 >"$f"; done' thaw {} +
} 2>/dev/null
processes() { find /sys/fs/cgroup -path '*kubepods*' -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u; }
end_processes() {
    for process in $(processes); do kill -KILL "$process" 2>/dev/null; done
}

systemctl stop kubelet 2>/dev/null
if command -v ctr >/dev/null 2>&1 && systemctl cat containerd >/dev/null 2>&1; then
    # A containerd that was stopped leaves its containers running; only it can end them.
    systemctl is-active --quiet containerd || systemctl start containerd
    found=$(ctr containers list --quiet)
    for id in $(ctr tasks list --quiet); do ctr tasks kill --all --signal SIGKILL "$id" >/dev/null 2>&1; done
    deadline=$(($(date +%s) + 20))
    thaw
    for id in $(ctr tasks list --quiet); do
        until ctr tasks delete --force "$id" >/dev/null 2>&1; do
            ctr tasks list --quiet | grep -qxF "$id" || break
            [ "$(date +%s)" -lt "$deadline" ] || break
            thaw
            sleep 0.2
        done
    done
    # What was about to start has no task yet.
    while [ -n "$(processes)" ] && [ "$(date +%s)" -lt "$deadline" ]; do
        thaw
        end_processes
        sleep 0.2
    done
    for id in $(ctr containers list --quiet); do ctr containers delete "$id" >/dev/null 2>&1; done
    # A container that was just being made has left a lease, which would keep its layer for a day.
    for lease in $(ctr leases list --quiet); do ctr leases delete --sync "$lease" >/dev/null 2>&1; done
    left=$(ctr tasks list --quiet; processes)
    [ -z "$left" ] || { echo "these containers or processes did not end: $left" >&2; exit 1; }
    # Its memory of pods that are gone would meet the next kubelet.
    [ -z "$found" ] || systemctl restart containerd
    for mount in $(mounts_below /run/containerd/io.containerd.grpc.v1.cri/sandboxes) \
        $(mounts_below /run/containerd/io.containerd.runtime.v2.task/k8s.io); do
        umount "$mount" 2>/dev/null
    done
fi
# Only what kubelet mounted for pods: a mount that someone else made below /var/lib/kubelet stays.
for mount in $(mounts_below /var/lib/kubelet/pods); do
    umount "$mount" 2>/dev/null || umount --lazy "$mount"
done
for name in $(ip netns list 2>/dev/null | awk '$1 ~ "^cni-" {print $1}'); do ip netns delete "$name"; done
systemctl stop kubepods.slice 2>/dev/null
exit 0
