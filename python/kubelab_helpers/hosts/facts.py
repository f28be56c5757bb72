"""What a host is, read in one go."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field, fields, replace
from ipaddress import ip_address
from typing import Any

from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts.probe import probe_command
from kubelab_helpers.hosts.runner import Runner

CAP_SYS_RESOURCE = 24
"""Bit in a capability set, capabilities(7)."""


@dataclass(frozen=True)
class Listener:
    """A socket that waits for others: `protocol` tcp or udp; `process` is empty where only root may know it."""

    protocol: str
    address: str
    port: int
    process: str


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
    os_name: str = ""
    os_id_like: tuple[str, ...] = ()
    privileged: bool = True
    """Whether it is root, or sudo lets it be without a password."""
    glibc: str = ""
    systemd: int = 0
    clock_seconds: float = 0.0
    """The host's clock when it was asked, since 1970."""
    clock_offset_seconds: float | None = None
    """How far it is ahead of the clock of whoever asked; None in a recording."""
    clock_uncertainty_seconds: float = 0.0
    """By how much that may be wrong, either way: half of the time that the answer took."""
    selinux: str = ""
    apparmor: bool = False
    addresses6: tuple[tuple[str, str], ...] = ()
    default_devices: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    """Device and network of each IPv4 route that is not the default one."""
    listening: tuple[Listener, ...] = ()
    base_chains: tuple[str, ...] = ()
    """The packet filter's, where root asked: family, table, chain, hook and policy of each, in one text."""
    accepted_ports: tuple[str, ...] = ()
    """Where packets that come in are dropped by policy: protocol and ports that some rule accepts, `tcp 22,6443`."""
    active_units: frozenset[str] = frozenset()
    time_synchronized: str = ""
    cni_files: tuple[str, ...] = ()
    member: frozenset[str] = frozenset()
    """The stamps of the cluster that kubelab made here: kubeadm-init or kubeadm-join."""
    proxies: dict[str, str] = field(default_factory=dict)
    machine_id: str = ""
    product_uuid: str = ""
    contents: dict[str, str] = field(default_factory=dict, repr=False)
    """The text of files that steps merge into, by path."""

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
        began = time.time()
        text = runner.check(command).text
        # The host read its clock somewhere between the two.
        half = (time.time() - began) / 2
        found = parse_facts(text)
        offset = found.clock_seconds - (began + half)
        return replace(found, clock_offset_seconds=offset, clock_uncertainty_seconds=half)
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

    def pairs(key: str) -> tuple[tuple[str, str], ...]:
        return tuple((first, second) for first, _, second in (value.partition(" ") for value in many(key)))

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
        addresses=pairs("address"),
        mtus={device: int(mtu) for device, mtu in pairs("mtu")},
        programs=frozenset(many("program")),
        os_name=one("os.name"),
        os_id_like=tuple(one("os.like").split()),
        privileged=one("privileged") != "no",
        glibc=one("glibc"),
        systemd=int(one("systemd") or 0),
        clock_seconds=float(one("clock") or 0),
        selinux=one("selinux"),
        apparmor=one("apparmor") == "yes",
        addresses6=pairs("address6"),
        default_devices=many("default_device"),
        routes=pairs("route"),
        listening=tuple(_listener(value) for value in many("listening")),
        base_chains=tuple(dict.fromkeys(many("base_chain"))),
        accepted_ports=tuple(dict.fromkeys(many("accepted"))),
        active_units=frozenset(many("active_unit")),
        time_synchronized=one("time_synchronized"),
        cni_files=many("cni_file"),
        member=frozenset(many("member")),
        proxies=dict(pairs("proxy")),
        machine_id=one("machine_id"),
        product_uuid=one("product_uuid"),
        contents={path: base64.b64decode(text).decode(errors="replace") for path, text in pairs("content")},
    )


def _listener(value: str) -> Listener:
    protocol, address, port, process = [*value.split(" "), ""][:4]
    return Listener(protocol, address, int(port), process)


def facts_from_data(data: dict[str, Any]) -> HostFacts:
    """Return the facts that `kubelab-host facts -o json` printed; TypeError or KeyError for anything else."""
    kinds = {each.name: str(each.type) for each in fields(HostFacts)}
    return HostFacts(**{name: _from_json(kinds[name], value) for name, value in data.items()})


def _from_json(kind: str, value: Any) -> Any:
    if kind.startswith("frozenset"):
        return frozenset(value)
    if kind.startswith("tuple[Listener"):
        return tuple(Listener(**each) for each in value)
    if kind.startswith("tuple[tuple"):
        return tuple((first, second) for first, second in value)
    return tuple(value) if kind.startswith("tuple") else value
