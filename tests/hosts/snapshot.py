"""Everything on a host that kubelab could leave behind, as text to compare: files, units, rules, devices, settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.facts import HostFacts, probe_host

from .machines import Machine

HASHED = ("/etc", "/usr/local", "/opt", "/root", "/home", "/srv", "/tmp", "/var")
KERNEL = ("/proc", "/sys", "/dev")
SYSTEMD = ("/run/systemd", "/run/udev", "/run/log", "/var/lib/systemd", "/var/log/journal")
"""What systemd and its journal write by themselves."""
SSH = ("/var/log/lastlog", "/var/log/wtmp", "/var/log/btmp", "/run/utmp", "/run/motd.dynamic", "/run/")
"""What a login over SSH writes, whatever it does then: who came, and the greeting, each time anew."""
CLUSTER = (
    *(f"/var/lib/{each}" for each in ("etcd", "kubelet", "containerd", "cni", "calico")),
    *(f"/var/log/{each}" for each in ("pods", "containers", "kubernetes", "calico*")),
    *(f"/run/{each}" for each in ("containerd", "calico", "flannel", "netns", "xtables.lock")),
    "/var/lib/kubelab/snapshots",  # on a timer
)
"""What the programs of a cluster that runs write."""

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


def steady_lines(snapshot: set[str]) -> set[str]:
    """Leave out what containerd keeps for itself while it runs, but not the images' layers and blobs."""
    own = re.compile(r"/var/lib/containerd/(?!.*(/snapshots/\d|/blobs/sha256/\w))")
    return {line for line in snapshot if not own.match(line)}


def is_as_before(machine: Machine, before: set[str]) -> bool:
    """Return whether a host stands as a snapshot of before says."""
    return steady_lines(take_snapshot(machine)) == steady_lines(before)


def take_strict_snapshot(machine: Machine, ignored: Sequence[str] = ()) -> set[str]:
    """Return every path with its kind, mode, owner, size and time of change, and the hash of each file in HASHED.

    A directory's time of change tells also of a file that came and went in it. `ignored`: paths, or patterns of them,
    that change by themselves here, besides those of SYSTEMD; with a slash at the end, only the directory's own time.
    """
    found: set[str] = set()
    times = tuple(f"{each.rstrip('/')} d " for each in ignored if each.endswith("/"))
    unseen = (*KERNEL, *SYSTEMD, *(each for each in ignored if not each.endswith("/")))
    for root in ("/", "/var", "/run", "/tmp"):  # file systems of their own
        walk = ("find", root, "-xdev", "(", *_any_of(unseen), ")", "-prune", "-o")
        kept = ("-type", "f", "(", *_any_of([f"{each}/*" for each in HASHED]), ")")
        for wanted in (("-printf", "%p %y %m %U:%G %s %T@ %l\\n"), (*kept, "-exec", "sha256sum", "{}", "+")):
            # Status 1: a file was gone before it was looked at.
            found |= set(machine.runner.run(Command((*walk, *wanted), timeout_seconds=120)).text.splitlines())
    assert len(found) > 1000
    return {line for line in found if not line.startswith(times)}


def _any_of(patterns: Sequence[str]) -> list[str]:
    """Return find's words for a path that is like one of the patterns."""
    return [word for pattern in patterns for word in ("-o", "-path", pattern)][1:]
