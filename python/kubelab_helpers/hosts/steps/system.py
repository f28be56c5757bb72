"""The operating system as Kubernetes needs it: packages, swap, kernel features and settings, names, directories."""

from __future__ import annotations

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.change import Change, Correction
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.distribution import distribution_of
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.file import Directory, File, Line, NoLine
from kubelab_helpers.hosts.kernel import Module, NoSwap, Sysctl
from kubelab_helpers.hosts.packages import Packages
from kubelab_helpers.hosts.spec import NodeSpec

SYSCTLS = {
    # https://kubernetes.io/docs/setup/production-environment/container-runtimes/#prerequisite-ipv4-forwarding-optional
    "net.ipv4.ip_forward": "1",
    # Bridged pod traffic must pass the rules of kube-proxy and of the policy engine.
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    # systemd, kubelet and containerd of several nodes on one kernel use up the default of 128.
    "fs.inotify.max_user_instances": "8192",
    "fs.inotify.max_user_watches": "524288",
}
MODULES = {"overlay": "filesystems", "br_netfilter": "effects"}
HOSTS_FILE = "/etc/hosts"
VOLUMES = "/var/lib/kubelab/volumes"
VOLUMES_OWNER = "1000:1000"
"""The chart's volume provisioner runs as this user, so that it needs no root (values: storage.provisioner)."""
SELINUX_CONFIG = "/etc/selinux/config"
RESOLV_CONF = "/etc/kubernetes/kubelab/resolv.conf"


def desire_packages(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """Every program that the node's parts call is on its PATH."""
    distribution = distribution_of(facts, spec.distributions)
    missing = sorted({package for program, package in distribution.programs.items() if program not in facts.programs})
    if not missing:
        return []
    return [Packages(distribution.family, distribution.refresh, tuple(missing))]


def desire_no_swap(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """No swap is in use, now and after a restart."""
    return [NoSwap()]


def desire_permissive_selinux(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """SELinux permissive, now and after a restart, as kubeadm asks; a rollback makes it enforcing again.

    https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/install-kubeadm/ (Red Hat-based distributions)
    """
    changes: list[Change] = []
    text = facts.contents.get(SELINUX_CONFIG, "")
    lines = ["SELINUX=permissive" if line.strip() == "SELINUX=enforcing" else line for line in text.splitlines()]
    if lines != text.splitlines():
        changes.append(File(SELINUX_CONFIG, "".join(f"{line}\n" for line in lines).encode()))
    if facts.selinux == "enforcing":
        enforce, permit = Command(("setenforce", "1")), Command(("setenforce", "0"))
        changes.append(Correction("selinux", "make SELinux permissive", (permit,), (enforce,)))
    return changes


def desire_kernel(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """The kernel's features are in effect (whether built in or loaded) and its settings are made."""
    absent = [name for name, where in MODULES.items() if name not in getattr(facts, where)]
    if absent and not facts.modules_loadable:
        raise BlockedError(
            f"{spec.name}: the kernel {facts.kernel} has no {' and no '.join(absent)}, and no modules to load",
            next_step="start the host with its distribution's own kernel",
        )
    changes: list[Change] = []
    if facts.modules_loadable:
        changes.append(File("/etc/modules-load.d/kubelab.conf", "".join(f"{name}\n" for name in MODULES).encode()))
        changes += [Module(name) for name in absent]
    lines = "".join(f"{key} = {value}\n" for key, value in SYSCTLS.items())
    changes.append(File("/etc/sysctl.d/90-kubelab.conf", lines.encode()))
    return [*changes, *(Sysctl(key, value) for key, value in SYSCTLS.items())]


def desire_names(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """The endpoint's name leads to every control plane, without needing a name server or a load balancer.

    Go programs, which all callers of the API are, try the addresses in the file's order until one answers.
    """
    found = (entry.split(" ") for entry in facts.hosts_entries if entry.endswith(f" {spec.endpoint_name}"))
    stale = sorted(address for address, _ in found if address not in spec.control_plane_addresses)
    missing = [
        address
        for address in spec.control_plane_addresses
        if f"{address} {spec.endpoint_name}" not in facts.hosts_entries
    ]
    return [
        *(NoLine(HOSTS_FILE, _endpoint_line(address, spec)) for address in stale),
        *(Line(HOSTS_FILE, _endpoint_line(address, spec)) for address in missing),
    ]


def _endpoint_line(address: str, spec: NodeSpec) -> str:
    return f"{address} {spec.endpoint_name}  # kubelab: the control plane's endpoint"


def desire_resolver(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """The resolver that pods inherit is no loopback one, which CoreDNS would ask in a circle (coredns issue 2087)."""
    servers = spec.upstream_nameservers or facts.upstream_nameservers
    if not servers and not facts.resolver_loops:
        servers = facts.nameservers
    if not servers:
        raise BlockedError(
            f"{spec.name}: its only resolver is on a loopback address ({', '.join(facts.nameservers) or 'none'})",
            next_step="name a real one in kubelab.yaml, network.nameservers",
        )
    return [File(RESOLV_CONF, "".join(f"nameserver {server}\n" for server in servers).encode())]


def desire_directories(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """The directories of kubelab's own state and of the users' volumes."""
    return [
        Directory("/var/lib/kubelab"),
        Directory("/var/lib/kubelab/stamps"),
        Directory(VOLUMES, mode=0o755, owner=VOLUMES_OWNER),
        # kube-proxy mounts it, and containerd would make it: a host without modules has none.
        Directory("/lib/modules"),
    ]
