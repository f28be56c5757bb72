#!/bin/sh
# Read-only: prints one `key<TAB>value` line a fact. POSIX sh, because the host may have no Python.
set -u
export LC_ALL=C

say() { printf '%s\t%s\n' "$1" "$2"; }
first_line() { [ -r "$1" ] && head -n 1 "$1"; }
has() { command -v "$1" >/dev/null 2>&1; }

if [ -r /etc/os-release ]; then
    # shellcheck disable=SC1091 # the host's own file, not ours
    . /etc/os-release
fi
say os.id "${ID:-unknown}"
say os.version "${VERSION_ID:-unknown}"
say os.codename "${VERSION_CODENAME:-}"
say os.name "${PRETTY_NAME:-}"
say os.like "${ID_LIKE:-}"
say machine "$(uname -m)"
say kernel "$(uname -r)"
say hostname "$(uname -n)"
say init "$(cat /proc/1/comm 2>/dev/null)"
say uid "$(id -u)"
if [ "$(id -u)" = 0 ] || { has sudo && sudo -n true 2>/dev/null; }; then say privileged yes; else say privileged no; fi
say cpus "$(grep -c ^processor /proc/cpuinfo)"
say memory_kib "$(awk '/^MemTotal:/ {print $2}' /proc/meminfo)"
say disk_free_kib "$(df -Pk /var/lib | awk 'NR == 2 {print $4}')"
say disk_size_kib "$(df -Pk /var/lib | awk 'NR == 2 {print $2}')"
say glibc "$(getconf GNU_LIBC_VERSION 2>/dev/null | awk '{print $2}')"
has systemctl && say systemd "$(systemctl --version 2>/dev/null | awk 'NR == 1 {print $2}')"
say clock "$(date +%s.%N 2>/dev/null || date +%s)"

if [ -f /sys/fs/cgroup/cgroup.controllers ]; then say cgroup 2; else say cgroup 1; fi

# Bit 24 of the bounding set is CAP_SYS_RESOURCE (capabilities(7)): without it no OOM score can be lowered.
bounding=$(awk '/^CapBnd:/ {print $2}' /proc/self/status)
say capability_bounding "$bounding"

awk 'NR > 1 {print "swap\t" $1}' /proc/swaps
grep -qw overlay /proc/filesystems && say filesystem overlay
[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] && say effect br_netfilter
if has modprobe && [ -d "/lib/modules/$(uname -r)" ]; then say modules loadable; else say modules fixed; fi
[ -w /proc/sys/net/netfilter/nf_conntrack_max ] && say writable nf_conntrack_max
if [ -r /sys/fs/selinux/enforce ]; then
    if [ "$(cat /sys/fs/selinux/enforce)" = 1 ]; then say selinux enforcing; else say selinux permissive; fi
elif [ -e /etc/selinux/config ]; then
    say selinux disabled
fi
[ "$(first_line /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] && say apparmor yes

awk '$1 == "nameserver" {print "nameserver\t" $2}' /etc/resolv.conf 2>/dev/null
[ -r /run/systemd/resolve/resolv.conf ] &&
    awk '$1 == "nameserver" {print "upstream_nameserver\t" $2}' /run/systemd/resolve/resolv.conf
awk '!/^#/ && NF > 1 {for (i = 2; i <= NF; i++) if ($i ~ /^#/) break; else print "hosts_entry\t" $1 " " $i}' /etc/hosts 2>/dev/null
if has ip; then
    ip -o -4 address show scope global | awk '{split($4, a, "/"); print "address\t" $2 " " a[1]}'
    ip -o -6 address show scope global 2>/dev/null | awk '{split($4, a, "/"); print "address6\t" $2 " " a[1]}'
    ip -o link show | awk '{sub(/[:@].*/, "", $2); for (i = 1; i < NF; i++) if ($i == "mtu") print "mtu\t" $2 " " $(i + 1)}'
    ip -o -4 route show default | awk '{for (i = 1; i < NF; i++) if ($i == "dev") print "default_device\t" $(i + 1)}'
    ip -o -4 route show | awk '$1 ~ "/" {for (i = 1; i < NF; i++) if ($i == "dev") print "route\t" $(i + 1) " " $1}'
fi
# Who listens: protocol, address, port, process. Other programs' names are told to root only.
has ss && ss -Hlntup 2>/dev/null | awk '{
    n = split($5, a, ":"); port = a[n]; address = substr($5, 1, length($5) - length(port) - 1)
    process = ""; if (match($0, /\(\("[^"]+"/)) process = substr($0, RSTART + 3, RLENGTH - 4)
    print "listening\t" $1 " " address " " port " " process}' | sort -u

# What the packet filter does with packets that no rule decides: family, table, chain, hook, policy; and the ports that are
# accepted where that is to drop what comes in. A filter that is not loaded is not asked: asking would load it.
loaded() { grep -qs "^$1 " /proc/modules || [ ! -d "/lib/modules/$(uname -r)" ]; }
iptables_policies() {
    for chain in INPUT FORWARD; do
        "$1" -w 1 -S "$chain" 2>/dev/null | awk '
            $1 == "-P" {print "base_chain\tip filter " $2 " " tolower($2) " " tolower($3); if ($2 $3 != "INPUTDROP") exit}
            / -j ACCEPT/ {protocol = ""; for (i = 1; i < NF; i++) {
                if ($i == "-p") protocol = $(i + 1)
                if ($i ~ /^--dports?$/) print "accepted\t" protocol " " $(i + 1)}}'
    done
}
if [ "$(id -u)" = 0 ]; then
    if has nft && loaded nf_tables; then
        chains=$(nft list chains 2>/dev/null | awk '
            $1 == "table" {table = $2 " " $3}
            $1 == "chain" {chain = $2}
            $1 == "type" {policy = "accept"; for (i = 1; i < NF; i++) {
                if ($i == "hook") hook = $(i + 1)
                if ($i == "policy") {policy = $(i + 1); sub(";", "", policy)}}
                print "base_chain\t" table " " chain " " hook " " policy}')
        [ -n "$chains" ] && printf '%s\n' "$chains"
        printf '%s\n' "$chains" | awk -F '[\t ]' '$5 == "input" && $6 == "drop" {print $2, $3}' | while read -r family table; do
            nft -n list table "$family" "$table" 2>/dev/null | awk '/dport/ && /accept/ {for (i = 2; i < NF; i++) if ($i == "dport") {
                ports = ""; for (j = i + 1; j <= NF && $j ~ /^[{},0-9-]+$/; j++) ports = ports $j
                gsub(/[{}]/, "", ports); print "accepted\t" $(i - 1) " " ports}}'
        done
    elif has iptables && loaded nf_tables; then
        iptables_policies iptables
    fi
    if grep -qsx filter /proc/net/ip_tables_names; then
        if has iptables-legacy; then iptables_policies iptables-legacy; else iptables_policies iptables; fi
    fi
fi

for program in ss iptables nft ipset conntrack socat ethtool ip modprobe mount systemctl apt-get dnf yum rpm dpkg python3 \
    docker dockerd docker-compose containerd podman crio k3s microk8s kubelet kubeadm snap sudo ssh curl openssl; do
    has "$program" && say program "$program"
done
for unit in docker containerd kubelet crio k3s k3s-agent firewalld ufw chrony chronyd ntp ntpsec systemd-timesyncd unattended-upgrades; do
    [ "$(systemctl is-active "$unit" 2>/dev/null)" = active ] && say active_unit "$unit"
done
# `timedatectl` would start a service to answer, which leaves a directory behind: a probe must not.
[ -e /run/systemd/timesync/synchronized ] && say time_synchronized yes
for file in /etc/cni/net.d/*; do [ -f "$file" ] && say cni_file "$file"; done
for name in kubeadm-init kubeadm-join; do [ -e "/var/lib/kubelab/stamps/$name" ] && say member "$name"; done
[ -e /etc/kubernetes/kubelet.conf ] && say effect kubernetes_node
for variable in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    value=$(printenv "$variable") || continue
    # A proxy's password is nobody's business here.
    say proxy "$variable $(printf '%s' "$value" | sed 's#//[^/@]*@#//***@#')"
done
say machine_id "$(first_line /etc/machine-id)"
say product_uuid "$(first_line /sys/class/dmi/id/product_uuid 2>/dev/null)"
# What a step merges into is read whole; none of these holds a secret.
for file in /etc/fstab /etc/containerd/config.toml /etc/docker/daemon.json /etc/selinux/config /etc/dnf/dnf.conf /etc/yum.conf; do
    [ -f "$file" ] && [ -r "$file" ] && [ "$(wc -c <"$file")" -le 262144 ] &&
        say content "$file $(base64 <"$file" | tr -d '\n')"
done
exit 0
