"""The host that kubelab-host stands on: made a cluster's first control plane, or one more node of a cluster.

The stages and Steps are those of `kubelab cluster apply`; only the hands are this machine's own.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kubelab_helpers.artifacts.catalog import load_catalog
from kubelab_helpers.cluster import kubeadm, members
from kubelab_helpers.cluster.contradictions import find_contradictions
from kubelab_helpers.cluster.network import KUBECTL
from kubelab_helpers.cluster.spec import HostSpec, LabSpec, find_name_fault
from kubelab_helpers.cluster.ticket import Ticket, require_no_twin
from kubelab_helpers.errors import BlockedError, InvalidInputError, KubelabError
from kubelab_helpers.hosts.checks.network import check_addresses
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.executor import converge, end_run
from kubelab_helpers.hosts.facts import HostFacts, probe_host
from kubelab_helpers.hosts.findings import Severity, Subject
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.solver import solve_versions
from kubelab_helpers.hosts.spec import Role
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.hosts.steps.system import RESOLV_CONF
from kubelab_helpers.lab.cluster import NODE_STEPS
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.description import require_files, require_source
from kubelab_helpers.lab.joining import require_same_version
from kubelab_helpers.lab.upkeep import renewal_step, snapshots_step
from kubelab_helpers.result import Outcome, Reporter, StageResult

FOLDER = Path("/run/kubelab/operator")
"""Gone with a restart: the host's own /etc/kubernetes/admin.conf is what stays."""
READY_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class HostOptions:
    """What the command line says of the host; what it leaves out, the facts decide."""

    name: str | None = None
    address: str | None = None
    public_address: str = ""
    nameservers: tuple[str, ...] = ()
    mtu: int | None = None
    replace_network: bool = False
    kubernetes_version: str | None = None
    """None for the newest that this kubelab carries; a member has its cluster's."""
    source: str = "auto"
    bundle: Path | None = None


def describe_cluster(
    facts: HostFacts,
    options: HostOptions,
    *,
    cluster: str,
    endpoint: str | None,
    pod_cidr: str,
    service_cidr: str,
    certificate_sans: tuple[str, ...] = (),
    ignored: Collection[str] = (),
) -> LabSpec:
    """Return the cluster that begins on this host, in the newest carried Kubernetes that it can run.

    InvalidInputError for what cannot be so, BlockedError where the host can run no carried Kubernetes, or not the one
    that was named; `ignored`: findings that are passed over, of which `kubernetes` is this one.
    """
    host = _local(facts, options, "control-plane")
    spec = LabSpec(
        name=cluster,
        kubernetes_version=_choose_version(facts, options, ignored),
        hosts=(host,),
        pod_cidr=pod_cidr,
        service_cidr=service_cidr,
        endpoint_name=endpoint,
        certificate_sans=certificate_sans,
    )
    return _validated(spec, options)


def _choose_version(facts: HostFacts, options: HostOptions, ignored: Collection[str]) -> str:
    wanted, catalog = options.kubernetes_version, load_catalog()
    if wanted is not None:
        catalog.in_version("kubelet", wanted)
    if "kubernetes" in ignored:
        return wanted or catalog.kubernetes_versions[0]
    return solve_versions(facts, catalog.kubernetes_versions, wanted, source=options.source).kubernetes


def describe_member(facts: HostFacts, options: HostOptions, ticket: Ticket) -> LabSpec:
    """Return the cluster that this host joins: its control planes by their addresses, and this host.

    BlockedError where another of its nodes has this host's name or address.
    """
    host = _local(facts, options, ticket.role)
    require_no_twin(ticket, host.name, host.address)
    others = [
        HostSpec(f"control-plane-{number}", "control-plane", address, local=True)
        for number, address in enumerate(ticket.control_planes, start=1)
        if address != host.address
    ]
    spec = LabSpec(
        name=ticket.cluster,
        kubernetes_version=ticket.kubernetes_version,
        hosts=(*others, host),
        pod_cidr=ticket.pod_cidr,
        service_cidr=ticket.service_cidr,
        endpoint_name=ticket.endpoint.rpartition(":")[0],
    )
    # How many control planes there are to be is not this host's to judge.
    return _validated(spec, options, judged=replace(spec, hosts=(replace(host, role="control-plane"),)))


def describe_standing(
    runner: Runner, facts: HostFacts, version: str | None, source: str, bundle: Path | None
) -> LabSpec:
    """Return the cluster of one node that stands on this host, with the `version` of Kubernetes that it is to have.

    What it was made with is read from it and from the host. BlockedError where this is no control plane, or where the
    cluster has other nodes, to which this host has no way: it shows how to describe them for `kubelab cluster upgrade`.
    """
    if runner.run(Command(("test", "-r", kubeadm.ADMIN_KUBECONFIG))).status != 0:
        raise BlockedError(
            f"this host is no control plane: it has no {kubeadm.ADMIN_KUBECONFIG}",
            next_step="run the same command on the control plane, as root",
        )
    configuration, nodes = members.read_configuration(runner), members.read_members(runner)
    endpoint = str(configuration["controlPlaneEndpoint"]).rpartition(":")[0]
    own_addresses = {address for _, address in facts.addresses}
    own = next((node for node in nodes if node.address in own_addresses), None)
    if own is None or len(nodes) > 1:
        raise BlockedError(
            f"the cluster has other nodes than this host: {', '.join(node.name for node in nodes if node != own)}",
            next_step="`kubelab cluster upgrade` brings all of them to a version, over SSH. Its kubelab.yaml begins:\n"
            + _describe_nodes(str(configuration["clusterName"]), endpoint, nodes, own),
        )
    # kubeadm.init_step names these itself.
    implied = {own.address, endpoint, "127.0.0.1", "localhost"}
    sans = tuple(each for each in configuration["apiServer"].get("certSANs", ()) if each not in implied)
    spec = LabSpec(
        name=str(configuration["clusterName"]),
        kubernetes_version=version or LabSpec.kubernetes_version,
        hosts=(HostSpec(own.name, "control-plane", own.address, local=True),),
        pod_cidr=configuration["networking"]["podSubnet"],
        service_cidr=configuration["networking"]["serviceSubnet"],
        endpoint_name=endpoint,
        certificate_sans=sans,
    )
    load_catalog().in_version("kubelet", spec.kubernetes_version)
    resolvers = runner.check(Command(("sed", "-n", "s/^nameserver //p", RESOLV_CONF))).text.split()
    return _validated(spec, HostOptions(nameservers=tuple(resolvers), source=source, bundle=bundle))


def _describe_nodes(name: str, endpoint: str, nodes: Sequence[members.Member], own: members.Member | None) -> str:
    import yaml

    hosts = [
        {"name": node.name, "role": node.role, "address": node.address}
        | ({"local": True} if node == own else {"ssh": {"user": "root"}})
        for node in nodes
    ]
    return yaml.safe_dump({"name": name, "endpoint": endpoint, "hosts": hosts}, sort_keys=False).rstrip()


def join_cluster(lab: Lab, ticket: Ticket) -> list[StageResult]:
    """Prepare this host and join it, and wait until the cluster calls it Ready."""
    host = lab.spec.hosts[-1]
    runner, parts = lab.runner(host), lab.parts()
    require_same_version(lab, [host])
    node = lab.node(host, parts)
    results = []
    for name, steps in member_stages(lab, ticket.credentials):
        began = time.monotonic()
        made = converge(runner, steps, node, lab.reporter, name)
        outcome = Outcome.CHANGED if made else Outcome.UNCHANGED
        results.append(StageResult(name, outcome, time.monotonic() - began, f"{made} changes"))
    began = time.monotonic()
    _wait_until_ready(runner, host.name)
    results.append(StageResult("ready", Outcome.UNCHANGED, time.monotonic() - began))
    end_run(runner, probe_state(runner, ()))
    return results


def member_stages(lab: Lab, credentials: kubeadm.JoinCredentials | None) -> tuple[tuple[str, tuple[Step, ...]], ...]:
    """Return the stages that make this host a node, with their Steps; without credentials they can only be planned."""
    kept_up = (("snapshots", (snapshots_step(lab),)), ("certificates", (renewal_step(),)))
    upkeep = kept_up if lab.spec.hosts[-1].role == "control-plane" else ()
    return (("prepare", NODE_STEPS), ("join", (kubeadm.join_step(credentials),)), *upkeep)


def open_lab(spec: LabSpec, reporter: Reporter, ignored: Sequence[str] = ()) -> Lab:
    """Return the lab of a host that is this machine; `ignored`: findings, by id, that are passed over."""
    return Lab(spec, FOLDER, reporter, ignored=tuple(ignored))


def probe_standing(runner: Runner) -> HostFacts:
    """Read the host; BlockedError for a user who may not change it."""
    facts = probe_host(runner)
    if facts.uid != 0:
        raise BlockedError("only root can make a host a node", next_step="run the same command with sudo")
    return facts


def _local(facts: HostFacts, options: HostOptions, role: Role) -> HostSpec:
    address = options.address or _find_address(facts)
    name = options.name or facts.hostname.partition(".")[0]
    return HostSpec(name, role, address, options.public_address, local=True)


def _find_address(facts: HostFacts) -> str:
    found = [address for device, address in facts.addresses if device in facts.default_devices]
    if len(found) == 1:
        return found[0]
    for finding in check_addresses(Subject(facts, "worker")):
        if finding.severity is Severity.BLOCKED:
            raise BlockedError(f"{finding.title} ({finding.id}): {finding.seen}", next_step=finding.remedy)
    names = ", ".join(f"{address} ({device})" for device, address in facts.addresses) or "none"
    raise InvalidInputError(
        f"the node's address is not clear: the host has {names}", next_step="name it with --address"
    )


def _validated(spec: LabSpec, options: HostOptions, judged: LabSpec | None = None) -> LabSpec:
    problems = find_contradictions(judged or spec)
    fault = find_name_fault(spec.hosts[-1].name)
    if fault:
        problems.append(f"{spec.hosts[-1].name}: {fault}")
    if problems:
        raise InvalidInputError("\n".join(problems), next_step="correct the options and run the same command again")
    whole = replace(
        spec,
        nameservers=options.nameservers,
        mtu=options.mtu,
        replace_network=options.replace_network,
        source=require_source(options.source),
        bundle=options.bundle,
    )
    require_files(whole)
    return whole


def _wait_until_ready(runner: Runner, name: str) -> None:
    kubeconfig = f"--kubeconfig={kubeadm.KUBELET_KUBECONFIG}"
    wait = f"--timeout={READY_TIMEOUT_SECONDS}s"
    cache = "--cache-dir=/run/kubelab/kubectl"
    argv = (KUBECTL, kubeconfig, cache, "wait", f"node/{name}", "--for=condition=Ready", wait)
    try:
        runner.check(Command(argv, timeout_seconds=READY_TIMEOUT_SECONDS + 10))
    except KubelabError as error:
        raise KubelabError(
            f"{name} has joined and is not Ready: {error.what}",
            repeat=error.repeat,
            next_step="look at `journalctl -u kubelet`; the same command waits again",
        ) from error
