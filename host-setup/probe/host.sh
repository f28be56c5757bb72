#!/bin/sh
# Read-only: prints one `key<TAB>value` line a fact. POSIX sh, because the host may have no Python.
set -u
export LC_ALL=C

say() { printf '%s\t%s\n' "$1" "$2"; }
first_line() { [ -r "$1" ] && head -n 1 "$1"; }

if [ -r /etc/os-release ]; then
    # shellcheck disable=SC1091 # the host's own file, not ours
    . /etc/os-release
fi
say os.id "${ID:-unknown}"
say os.version "${VERSION_ID:-unknown}"
say os.codename "${VERSION_CODENAME:-}"
say machine "$(uname -m)"
say kernel "$(uname -r)"
say hostname "$(uname -n)"
say init "$(cat /proc/1/comm 2>/dev/null)"
say uid "$(id -u)"
say cpus "$(grep -c ^processor /proc/cpuinfo)"
say memory_kib "$(awk '/^MemTotal:/ {print $2}' /proc/meminfo)"
say disk_free_kib "$(df -Pk /var/lib | awk 'NR == 2 {print $4}')"
say disk_size_kib "$(df -Pk /var/lib | awk 'NR == 2 {print $2}')"

if [ -f /sys/fs/cgroup/cgroup.controllers ]; then say cgroup 2; else say cgroup 1; fi

# Bit 24 of the bounding set is CAP_SYS_RESOURCE (capabilities(7)): without it no OOM score can be lowered.
bounding=$(awk '/^CapBnd:/ {print $2}' /proc/self/status)
say capability_bounding "$bounding"

awk 'NR > 1 {print "swap\t" $1}' /proc/swaps
grep -qw overlay /proc/filesystems && say filesystem overlay
[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] && say effect br_netfilter
if command -v modprobe >/dev/null 2>&1 && [ -d "/lib/modules/$(uname -r)" ]; then say modules loadable; else say modules fixed; fi
[ -w /proc/sys/net/netfilter/nf_conntrack_max ] && say writable nf_conntrack_max

awk '$1 == "nameserver" {print "nameserver\t" $2}' /etc/resolv.conf 2>/dev/null
[ -r /run/systemd/resolve/resolv.conf ] &&
    awk '$1 == "nameserver" {print "upstream_nameserver\t" $2}' /run/systemd/resolve/resolv.conf
awk '!/^#/ && NF > 1 {for (i = 2; i <= NF; i++) print "hosts_entry\t" $1 " " $i}' /etc/hosts 2>/dev/null
if command -v ip >/dev/null 2>&1; then
    ip -o -4 address show scope global | awk '{split($4, a, "/"); print "address\t" $2 " " a[1]}'
    ip -o link show | awk '{sub(/[:@].*/, "", $2); for (i = 1; i < NF; i++) if ($i == "mtu") print "mtu\t" $2 " " $(i + 1)}'
    ip -o -4 route show default | awk '{for (i = 1; i < NF; i++) if ($i == "dev") print "default_device\t" $(i + 1)}'
fi

for program in iptables nft ipset conntrack socat ethtool ip modprobe mount systemctl apt-get dnf; do
    command -v "$program" >/dev/null 2>&1 && say program "$program"
done
say machine_id "$(first_line /etc/machine-id)"
exit 0
