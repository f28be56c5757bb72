"""Everything on a host that kubelab could leave behind, as text to compare: files, units, rules, devices, settings."""

from __future__ import annotations

from dataclasses import replace

from kubelab_helpers.hosts.facts import HostFacts, probe_host

from .machines import Machine

# /var is a volume, and so a file system of its own. What changes by itself is left out: systemd's journal, files for a
# moment, the engine's own rules. /var/lib/kubelab is kubelab's record of what it did, which stays.
_SNAPSHOT = """
set +e
for root in / /var; do
    find "$root" -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root \\
        -o -path /var/log/journal -o -path /var/lib/kubelab -o -path /var/lib/systemd -o -path /var/cache \\
        -o -path /var/lib/apt -o -path /var/log -o -path /opt/kubelab -o -path /opt/kubelab-cache \\) -prune \\
        -o -type f -printf '%p %m %U:%G %s\\n' -o -type l -printf '%p %l\\n' -o -printf '%p %y %m %U:%G\\n'
done
for file in /etc/hosts /etc/fstab /etc/passwd /etc/group; do sha256sum "$file"; done
iptables-save | grep '^-' | grep -v 127.0.0.11
ip6tables-save | grep '^-'
nft list tables | grep -vE 'table ip6? (filter|nat|mangle|raw)'
ip -o link show | awk '{sub(/@.*/, "", $2); print $2}'; ip -o route show
systemctl list-unit-files --no-legend | awk '{print $1, $2}'
for key in net/ipv4/ip_forward fs/inotify/max_user_instances fs/inotify/max_user_watches; do
    printf '%s %s\\n' "$key" "$(cat "/proc/sys/$key")"
done
awk '{print $5}' /proc/self/mountinfo
true
"""


def take_snapshot(machine: Machine) -> set[str]:
    """Return the lines that tell how a host stands."""
    return {line for line in machine.shell(_SNAPSHOT).splitlines() if line}


def steady_facts(machine: Machine) -> HostFacts:
    """Return a host's facts without what changes by itself: the clock and the free disk.

    Nor the base chains of iptables' own tables, which stay behind whoever used it, and are left out of a snapshot too.
    """
    facts = probe_host(machine.runner)
    return replace(
        facts,
        clock_seconds=0.0,
        clock_offset_seconds=None,
        clock_uncertainty_seconds=0.0,
        disk_free_kib=0,
        base_chains=tuple(each for each in facts.base_chains if not each.startswith(("ip ", "ip6 "))),
        # The engine's own resolver and containerd's streams have another port at each start.
        listening=tuple(each for each in facts.listening if not each.address.startswith("127.0.0.")),
    )
