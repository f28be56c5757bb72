"""The cluster under a lab: container nodes or hosts elsewhere, then the same Steps on either."""

from __future__ import annotations

import time
from collections.abc import Sequence

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.cluster import health, kubeadm, members, network, nodes
from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.executor import end_run
from kubelab_helpers.hosts.facts import HostFacts, probe_host
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.solver import find_obstacle
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.hosts.steps import PREPARATION
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.fitness import find_unfit
from kubelab_helpers.lab.joining import (
    JOINS_AT_ONCE,
    find_acting_host,
    find_founder,
    find_namesakes,
    find_strangers,
    join_hosts,
    read_stamped,
    require_same_version,
)
from kubelab_helpers.lab.parallel import converge_all, for_each
from kubelab_helpers.result import Outcome

NODE_STEPS: tuple[Step, ...] = (*PREPARATION, network.CNI_STEP)


def node_image() -> str:
    """Return the reference of the container node's image."""
    return load_catalog().images["node"].reference(IMAGE_PREFIX)


def ensure_nodes(lab: Lab) -> tuple[Outcome, str]:
    """Make the nodes, and replace a cluster that was made from other inputs."""
    if not lab.spec.has_containers:
        return Outcome.UNCHANGED, "no container nodes"
    wanted = [lab.container(host, node_image()) for host in lab.spec.hosts]
    existing = nodes.list_nodes(lab.engine, lab.spec.name)
    detail = _remove_if_other(lab, wanted, existing)
    outcomes = [nodes.ensure_network(lab.engine, lab.spec.name, lab.spec.container_subnet)]
    outcomes += [nodes.ensure_node(lab.engine, each, lab.owner) for each in wanted]
    return _outcome(outcomes), detail or f"{len(wanted)} nodes"


def prepare_nodes(lab: Lab) -> tuple[Outcome, str]:
    """Bring every node to what kubeadm needs, all at once."""
    require_same_version(lab, lab.spec.hosts)
    parts = lab.parts()
    return _counted(converge_all(lab, lab.spec.hosts, NODE_STEPS, parts, lambda host: f"prepare {host.name}"))


def reach_hosts(lab: Lab) -> tuple[Outcome, str]:
    """Reach every host before any is touched; BlockedError names everything on them that must be mended first.

    A host has its address, belongs to no other cluster, can run the lab's Kubernetes, and, where it is no node yet, is
    fit to be one by the rules of `kubelab-host check`; hosts are two machines, and their clocks agree.
    """
    elsewhere = [host for host in lab.spec.hosts if not host.is_container]
    facts = dict(zip(elsewhere, for_each(elsewhere, lambda host: probe_host(lab.runner(host))), strict=True))
    problems = [
        f"{host.name}: no network device has the address {host.address}, but {_addresses(found)}"
        for host, found in facts.items()
        if found.device_of(host.address) is None
    ]
    version = lab.spec.kubernetes_version
    problems += [
        f"{host.name} cannot run Kubernetes {version}: {obstacle}"
        for host, found in facts.items()
        if found.member and (obstacle := find_obstacle(found, version))
    ]
    problems += [f"{name} belongs to the cluster {other}" for name, other in find_strangers(lab, elsewhere).items()]
    problems += find_unfit(lab, facts)
    problems += find_namesakes(lab, [host for host, found in facts.items() if not found.member])
    if problems:
        raise BlockedError(
            "\n".join(problems),
            next_step="correct kubelab.yaml, or the host; `kubelab-host reset` there makes it a bare one again; "
            "a finding with an (id) that you know better is passed over with --ignore ID",
        )
    return Outcome.UNCHANGED, f"{len(elsewhere)} hosts" if elsewhere else "container nodes"


def make_control_plane(lab: Lab) -> tuple[Outcome, str]:
    """Run kubeadm init on the first control plane, unless the cluster is there, and fetch its kubeconfig."""
    began = find_founder(lab)
    host = began or lab.control_plane
    made = 0
    if began is None or began.name in read_stamped(lab, "kubeadm-init"):
        made = converge_all(lab, [host], (init_step(lab),), lab.parts(), lambda _: "kubeadm init")
    health.write_kubeconfig(lab.runner(host), lab.kubeconfig, lab.api_server)
    return _counted(made)


def init_step(lab: Lab) -> Step:
    """Return the step that makes this lab's control plane."""
    return kubeadm.init_step(not lab.spec.workers, lab.image_tag("image-etcd"), lab.image_tag("image-coredns"))


def install_network(lab: Lab) -> tuple[Outcome, str]:
    """Put Canal into the cluster."""
    made = converge_all(lab, [find_acting_host(lab)], (network_step(lab),), lab.parts(), lambda _: "network")
    return _counted(made)


def network_step(lab: Lab) -> Step:
    """Return the step that puts Canal into this lab's cluster."""
    images = {name: lab.image_reference(f"image-{name}") for name in ("flannel", "calico-node")}
    files = sorted(lab.parts()["calico-crds"].glob("*.yaml"))
    return network.objects_step(images, b"---\n".join(path.read_bytes() + b"\n" for path in files))


def join_control_planes(lab: Lab) -> tuple[Outcome, str]:
    """Join the further control planes, one after the other: etcd takes one new member at a time."""
    return _counted(join_hosts(lab, lab.spec.control_planes, at_once=1))


def join_workers(lab: Lab) -> tuple[Outcome, str]:
    """Join every worker that is not in the cluster yet; a token is made only then."""
    return _counted(join_hosts(lab, lab.spec.workers, at_once=JOINS_AT_ONCE))


def wait_until_ready(lab: Lab) -> tuple[Outcome, str]:
    """Wait until every node is Ready and the cluster's DNS answers."""
    names = [host.name for host in lab.spec.hosts]
    began = time.monotonic()
    if lab.spec.has_containers:
        # Over the published port, which the release's stages need too. Of other hosts only SSH is sure to be reached.
        health.wait_until_nodes_ready(lab.kubeconfig, names)
    else:
        runners = [lab.runner(host) for host in lab.spec.control_planes]
        members.wait_until_ready(lambda: members.find_acting(runners), names)
    # One node that stops must not take all of DNS with it, where the rest of the control plane bears that.
    moved = len(lab.spec.control_planes) > 1 and members.spread_dns(lab.runner(find_acting_host(lab)))
    return Outcome.CHANGED if moved else Outcome.UNCHANGED, f"after {time.monotonic() - began:.0f} s"


def end_runs(lab: Lab, hosts: Sequence[HostSpec] | None = None) -> tuple[Outcome, str]:
    """Write into the journal of each host, or of these, that the run has ended; one that did not is continued."""

    def end(host: HostSpec) -> None:
        runner = lab.runner(host)
        end_run(runner, probe_state(runner, ()))

    for_each(lab.spec.hosts if hosts is None else hosts, end)
    return Outcome.UNCHANGED, ""


def _remove_if_other(lab: Lab, wanted: Sequence[nodes.NodeContainer], existing: dict[str, nodes.NodeState]) -> str:
    """Remove a cluster whose nodes were made from other inputs; its homes are only given up when that was asked for."""
    same = {each.container_name: each for each in wanted}
    other = [
        name for name, state in existing.items() if name not in same or nodes.differs(lab.engine, same[name], state)
    ]
    if not other:
        return ""
    if not lab.replace:
        whose = "this checkout" if all(existing[name].owner == lab.owner for name in other) else "another checkout"
        raise BlockedError(
            f"the cluster {lab.spec.name} is there, made by {whose} from other inputs ({', '.join(other)})",
            next_step="`kubelab up --replace` removes it, with its users' homes, and makes it anew; "
            "or give this lab another name in kubelab.yaml",
        )
    nodes.remove_cluster(lab.engine, lab.spec.name)
    return "replaced a cluster made from other inputs"


def _addresses(facts: HostFacts) -> str:
    return ", ".join(address for _, address in facts.addresses) or "none"


def _outcome(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome.CHANGED if Outcome.CHANGED in outcomes else Outcome.UNCHANGED


def _counted(made: int) -> tuple[Outcome, str]:
    return (Outcome.CHANGED if made else Outcome.UNCHANGED), f"{made} changes"
