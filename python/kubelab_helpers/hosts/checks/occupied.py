"""What is on a host already: ports, a cluster, runtimes, another pod network."""

from __future__ import annotations

from collections.abc import Iterator

from kubelab_helpers.hosts.checks.ports import needed_ports
from kubelab_helpers.hosts.cni import comes_first, find_foreign
from kubelab_helpers.hosts.findings import Finding, Subject, blocked, note, ok, warning

OTHER_KUBERNETES = ("k3s", "k3s-agent", "crio")


def check_ports(subject: Subject) -> Iterator[Finding]:
    """Every port is free, unless the node's own programs hold it already."""
    if subject.facts.member:
        yield ok("ports", "the node's own programs hold its ports")
        return
    holders = {(each.protocol, each.port): each.process or "another program" for each in subject.facts.listening}
    taken = [
        f"{each.port}/{each.protocol} ({each.use}) is held by {holders[each.protocol, each.port]}"
        for each in needed_ports(subject.role)
        if (each.protocol, each.port) in holders
    ]
    if taken:
        yield blocked("ports", "ports are taken", "; ".join(taken), "end those programs, or give them other ports")
    elif subject.facts.listening or "ss" in subject.facts.programs:
        yield ok("ports", "every port is free", f"{len(needed_ports(subject.role))} looked at")
    else:
        yield note("ports", "nothing was seen to listen", "without `ss` (iproute2) it cannot be told")


def check_cluster(subject: Subject) -> Iterator[Finding]:
    """No Kubernetes of others; a node of kubelab's is told as such."""
    facts = subject.facts
    others = sorted(set(OTHER_KUBERNETES) & facts.active_units)
    if facts.member:
        yield note("cluster", "a node that kubelab made", ", ".join(sorted(facts.member)))
    elif "kubernetes_node" in facts.effects or others:
        seen = ", ".join([*others, *(["/etc/kubernetes/kubelet.conf"] if "kubernetes_node" in facts.effects else [])])
        yield blocked(
            "cluster", "another cluster's node", seen, "kubelab overwrites no cluster: reset it with its own tool first"
        )
    else:
        yield ok("cluster", "no cluster on it yet")


def check_runtimes(subject: Subject) -> Iterator[Finding]:
    """Docker and containerd of others."""
    facts = subject.facts
    if facts.member:
        return
    if "docker" in facts.active_units:
        yield note("docker", "Docker runs here", "", "it stays; its containerd and kubelab's are two services")
    if "containerd" in facts.active_units:
        yield warning(
            "containerd",
            "a containerd runs here already",
            "/etc/containerd/config.toml"
            if "/etc/containerd/config.toml" in facts.contents
            else "without a configuration file",
            "kubelab's takes its place; in its configuration others' settings stay, and a rollback puts all back",
        )


def check_cni(subject: Subject) -> Iterator[Finding]:
    """Another pod network's configuration: containerd takes the first file by name."""
    foreign = find_foreign(subject.facts.cni_files)
    first = [path for path in foreign if comes_first(path)]
    if first:
        yield blocked(
            "cni",
            "another pod network comes first",
            ", ".join(first),
            "remove that network, or let kubelab set its files aside (they are kept): --replace-network, "
            "or `network: {replaceForeign: true}` in kubelab.yaml; containerd takes the first by name",
        )
    elif foreign:
        yield note(
            "cni", "another pod network's configuration is there", ", ".join(foreign), "it stays, and is not used"
        )
    else:
        yield ok("cni", "no other pod network")
