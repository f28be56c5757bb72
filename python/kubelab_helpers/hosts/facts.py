"""What a host is, read in one go."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts.probe import probe_command
from kubelab_helpers.hosts.runner import Runner

CAP_SYS_RESOURCE = 24
"""Bit in a capability set, capabilities(7)."""


@dataclass(frozen=True)
class HostFacts:
    """One host as its probe saw it. Sizes in KiB as /proc gives them."""

    os_id: str
    os_version: str
    codename: str
    machine: str
    kernel: str
    hostname: str
    init: str
    uid: int
    cpus: int
    memory_kib: int
    disk_free_kib: int
    disk_size_kib: int
    cgroup: int
    can_lower_oom_score: bool
    modules_loadable: bool
    swaps: tuple[str, ...]
    filesystems: frozenset[str]
    effects: frozenset[str]
    writable: frozenset[str]
    nameservers: tuple[str, ...]
    upstream_nameservers: tuple[str, ...]
    hosts_entries: frozenset[str]
    addresses: tuple[tuple[str, str], ...]
    mtus: dict[str, int]
    programs: frozenset[str]

    @property
    def resolver_loops(self) -> bool:
        """Whether a pod given this resolver would ask itself (coredns issue 2087)."""
        return any(ip_address(server.split("%")[0]).is_loopback for server in self.nameservers)

    def device_of(self, address: str) -> str | None:
        """The network device that carries an address."""
        return next((device for device, found in self.addresses if found == address), None)


def probe_host(runner: Runner) -> HostFacts:
    """Read a host's facts in one round trip; nothing is written there."""
    command = probe_command("host")
    try:
        return parse_facts(runner.check(command).text)
    except ValueError as error:
        raise KubelabError(
            f"{runner.name}: the probe's answer cannot be read: {error}",
            next_step="the host needs the usual programs of a Linux system (awk, df, grep, id, uname)",
        ) from error


def parse_facts(text: str) -> HostFacts:
    """Return the facts of one probe's output."""
    seen: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition("\t")
        seen.setdefault(key, []).append(value)

    def one(key: str) -> str:
        return seen.get(key, [""])[0]

    def many(key: str) -> tuple[str, ...]:
        return tuple(seen.get(key, ()))

    devices = (value.partition(" ") for value in many("address"))
    return HostFacts(
        os_id=one("os.id"),
        os_version=one("os.version"),
        codename=one("os.codename"),
        machine=one("machine"),
        kernel=one("kernel"),
        hostname=one("hostname"),
        init=one("init"),
        uid=int(one("uid")),
        cpus=int(one("cpus")),
        memory_kib=int(one("memory_kib")),
        disk_free_kib=int(one("disk_free_kib")),
        disk_size_kib=int(one("disk_size_kib")),
        cgroup=int(one("cgroup")),
        can_lower_oom_score=bool(int(one("capability_bounding"), 16) >> CAP_SYS_RESOURCE & 1),
        modules_loadable=one("modules") == "loadable",
        swaps=many("swap"),
        filesystems=frozenset(many("filesystem")),
        effects=frozenset(many("effect")),
        writable=frozenset(many("writable")),
        nameservers=many("nameserver"),
        upstream_nameservers=many("upstream_nameserver"),
        hosts_entries=frozenset(many("hosts_entry")),
        addresses=tuple((device, address) for device, _, address in devices),
        mtus={device: int(mtu) for device, _, mtu in (value.partition(" ") for value in many("mtu"))},
        programs=frozenset(many("program")),
    )
