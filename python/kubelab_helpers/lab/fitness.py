"""Whether hosts can become nodes of a lab, told of all of them before any is touched. Reads only.

The rules are those of `kubelab-host check`. Of a node only that is judged which its Steps would refuse too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from kubelab_helpers.cluster.network import ROUTES_UNIT
from kubelab_helpers.cluster.spec import HostSpec, LabSpec
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.checks import check_fleet, check_host
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.file import UNITS
from kubelab_helpers.hosts.findings import Finding, Severity, Subject
from kubelab_helpers.hosts.ledger import Ledger
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.joining import JOIN, STAMPS, find_other_cluster
from kubelab_helpers.lab.parallel import for_each

INIT = "action:kubeadm-init"
ROUTES = f"file:{UNITS}{ROUTES_UNIT}"
REFUSED_BY_STEPS = frozenset({"distribution", "overlay", "br_netfilter", "resolver", "cni"})
"""What the Steps of `prepare` refuse on a node as well, which would be while other hosts are being changed."""


def find_unfit(lab: Lab, facts: Mapping[HostSpec, HostFacts]) -> list[str]:
    """Return what must be mended before the hosts can be the lab's nodes, a line each."""
    waiting = [host for host, found in facts.items() if not found.member]
    states = for_each(waiting, lambda host: probe_state(lab.runner(host), ()))
    ledgers = {host: state.ledger for host, state in zip(waiting, states, strict=True)}
    return [tell(each) for each in find_blocking(lab.spec, facts, ledgers, lab.ignored)]


def require_fit(runner: Runner, facts: HostFacts, spec: LabSpec, ignored: Collection[str]) -> None:
    """Check the host that kubelab-host stands on, the last one of `spec`; BlockedError names what must be mended."""
    host = spec.hosts[-1]
    state = probe_state(runner, [f"stamp:{stamp}" for stamp in STAMPS])
    other = find_other_cluster(spec, state.stamps)
    if other:
        raise BlockedError(
            f"{host.name} belongs to the cluster {other}",
            next_step="`kubelab-host reset --yes` takes it out of that cluster; it is then a bare host again",
        )
    stopping = find_blocking(spec, {host: facts}, {host: state.ledger}, ignored)
    if stopping:
        raise BlockedError(
            "\n".join(map(tell, stopping)),
            next_step="mend it, or pass over a finding that you know better with --ignore ID",
        )


def find_blocking(
    spec: LabSpec,
    facts: Mapping[HostSpec, HostFacts],
    ledgers: Mapping[HostSpec, Ledger],
    ignored: Collection[str] = (),
) -> list[Finding]:
    """Return what stops these hosts from being the lab's nodes: each one by itself, and all together.

    `ledgers`: what kubelab has done on those that are no nodes yet. Pure.
    """
    subjects = {host: _subject(spec, host, found) for host, found in facts.items()}
    alone = [
        each
        for host, subject in subjects.items()
        for each in check_host(subject)
        if (each.id in REFUSED_BY_STEPS if subject.facts.member else each.id not in _explained(ledgers[host]))
    ]
    settled = {*ignored, *_settled(spec)}
    found = [*alone, *check_fleet(list(subjects.values()))]
    return [each for each in found if each.severity is Severity.BLOCKED and each.id not in settled]


def tell(finding: Finding) -> str:
    """Return a finding as a line: whose it is, what was seen, what to do."""
    whose = f"{finding.host}: " if finding.host else ""
    seen = f": {finding.seen}" if finding.seen else ""
    return f"{whose}{finding.title} ({finding.id}){seen}; {finding.remedy}"


def _subject(spec: LabSpec, host: HostSpec, facts: HostFacts) -> Subject:
    return Subject(
        facts,
        host.role,
        spec.pod_cidr,
        spec.service_cidr,
        (spec.kubernetes_version,),
        node_name=host.name,
        node_address=host.address,
    )


def _settled(spec: LabSpec) -> Sequence[str]:
    """Return the findings that the lab's description answers: a name server that it names stands in for the host's."""
    return [*(["resolver"] if spec.nameservers else []), *(["cni"] if spec.replace_network else [])]


def _explained(ledger: Ledger) -> set[str]:
    """Return the findings that come of our own work on a host, which was cut off there and is to go on."""
    made = {entry.change for entry in ledger.entries}
    explained = {"disk"} if made else set()
    if ledger.unfinished & {INIT, JOIN}:
        explained |= {"cluster", "ports"}
    if ROUTES in made:
        explained.add("ranges")
    return explained
