#!/bin/sh
# Tries what the kernel has to do, in network and mount namespaces of its own: nothing of it is seen outside, and all of it
# goes with them. Prints `name<TAB>ok`, `name<TAB>absent` (no program to try it with) or what went wrong. Argument: a folder for temporary files.
set -u
export LC_ALL=C

if [ "${KUBELAB_INSIDE:-}" != yes ]; then
    KUBELAB_INSIDE=yes exec unshare --net --mount --propagation private sh -c "$(cat)" active "$1"
fi
try() {
    name=$1
    shift
    if ! command -v "$1" >/dev/null 2>&1; then
        printf '%s\tabsent\n' "$name"
    elif said=$("$@" 2>&1 >/dev/null); then
        printf '%s\tok\n' "$name"
    else
        printf '%s\t%s\n' "$name" "$(echo "${said:-it failed}" | tail -n 1)"
    fi
}
folder=$1
ip link set lo up
try vxlan ip link add probe-vxlan type vxlan id 1 dstport 8472 local 127.0.0.1
try bridge ip link add probe-bridge type bridge
try veth ip link add probe-veth0 type veth peer name probe-veth1
try iptables-comment iptables -w -A INPUT -m comment --comment probe -j ACCEPT
try iptables-mark iptables -w -t mangle -A PREROUTING -m mark --mark 0x1/0x1 -j MARK --set-xmark 0x2/0x2
try iptables-conntrack iptables -w -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
try iptables-masquerade iptables -w -t nat -A POSTROUTING -j MASQUERADE --random-fully
try nftables nft add table ip probe
try nftables-nat nft add chain ip probe nat '{ type nat hook postrouting priority 100; }'
if command -v ipset >/dev/null 2>&1; then
    try ipset ipset create probe hash:net
    try iptables-set iptables -w -A INPUT -m set --match-set probe src -j DROP
fi
mount -t tmpfs tmpfs "$folder" 2>/dev/null
mkdir -p "$folder/lower" "$folder/upper" "$folder/work" "$folder/merged"
try overlay mount -t overlay overlay -o "lowerdir=$folder/lower,upperdir=$folder/upper,workdir=$folder/work" "$folder/merged"
exit 0
