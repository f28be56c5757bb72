"""What a host's packet filter does with the cluster's packets, by the policies of its base chains."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kubelab_helpers.hosts.checks.ports import NeededPort, needed_ports
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.findings import Finding, Subject, note, ok, warning

HOOKS_LINK = "https://wiki.nftables.org/wiki-nftables/index.php/Configuring_chains#Base_chain_priority"


@dataclass(frozen=True)
class BaseChain:
    """A chain that sees packets at a hook, and what becomes of those that no rule decides."""

    family: str
    table: str
    name: str
    hook: str
    policy: str

    def __str__(self) -> str:
        """Return it in nft's words."""
        return f"{self.family} {self.table} {self.name}"


def check_forwarding(subject: Subject) -> Iterator[Finding]:
    """Packets of pods are forwarded. Flannel's and the policy engine's rules stand in iptables' own table only."""
    if subject.facts.member:
        return
    dropping = _dropping(subject.facts, "forward")
    foreign = [each for each in dropping if (each.family, each.table) != ("ip", "filter")]
    if foreign:
        yield warning(
            "forwarding",
            "a rule set of others drops what is forwarded",
            f"policy drop in {', '.join(map(str, foreign))}",
            f"let {subject.pod_cidr} pass there, from and to: what other tables accept does not overrule it",
            HOOKS_LINK,
        )
    elif dropping:
        yield note(
            "forwarding",
            "forwarding is dropped where no rule accepts it",
            f"policy drop in {', '.join(map(str, dropping))}",
            "none is needed: Flannel and the policy engine put rules there that accept what is the pods'",
        )
    else:
        yield ok("forwarding", "no policy drops what is forwarded", _looked_at(subject.facts))


def check_input(subject: Subject) -> Iterator[Finding]:
    """Where packets that come in are dropped by policy, the node's ports are accepted."""
    if subject.facts.member:
        return
    dropping = _dropping(subject.facts, "input")
    closed = [each for each in needed_ports(subject.role) if each.open and not _accepts(subject.facts, each)]
    if dropping and closed:
        wanted = ", ".join(f"{each.port}/{each.protocol}" for each in closed)
        yield warning(
            "input",
            "what comes in is dropped, and no rule accepts some of the node's ports",
            f"policy drop in {', '.join(map(str, dropping))}",
            f"open {wanted} to the other hosts",
        )
    else:
        yield ok("input", "no policy drops what comes to the node's ports", _looked_at(subject.facts))


def _dropping(facts: HostFacts, hook: str) -> list[BaseChain]:
    chains = [BaseChain(*each.split(" ")) for each in facts.base_chains]
    return [each for each in chains if each.hook == hook and each.policy == "drop" and each.family in {"ip", "inet"}]


def _accepts(facts: HostFacts, port: NeededPort) -> bool:
    for accepted in facts.accepted_ports:
        protocol, _, ports = accepted.partition(" ")
        ranges = [re.split("[-:]", each) for each in ports.split(",") if each]
        if protocol in {port.protocol, "th"} and any(int(each[0]) <= port.port <= int(each[-1]) for each in ranges):
            return True
    return False


def _looked_at(facts: HostFacts) -> str:
    if facts.base_chains:
        return f"{len(facts.base_chains)} base chains"
    return "no base chain was seen" if facts.uid == 0 else "not seen: only root may ask"
