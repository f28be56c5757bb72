"""The cluster under a lab: container nodes, then the same Steps as on any host."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.cluster import credentials, health, kubeadm, network, nodes
from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.executor import read_plan
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.steps import PREPARATION
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.parallel import converge_all
from kubelab_helpers.result import Outcome

NODE_STEPS: tuple[Step, ...] = (*PREPARATION, network.CNI_STEP)


def node_image() -> str:
    """Return the reference of the container node's image."""
    return load_catalog().images["node"].reference(IMAGE_PREFIX)


def ensure_nodes(lab: Lab) -> tuple[Outcome, str]:
    """Make the nodes, and replace a cluster that was made from other inputs."""
    wanted = [lab.container(host, node_image()) for host in lab.spec.hosts]
    existing = nodes.list_nodes(lab.engine, lab.spec.name)
    detail = _remove_if_other(lab, wanted, existing)
    outcomes = [nodes.ensure_network(lab.engine, lab.spec.name, lab.spec.container_subnet)]
    outcomes += [nodes.ensure_node(lab.engine, each, lab.owner) for each in wanted]
    return _outcome(outcomes), detail or f"{len(wanted)} nodes"


def prepare_nodes(lab: Lab) -> tuple[Outcome, str]:
    """Bring every node to what kubeadm needs, all at once."""
    parts = lab.parts()
    return _counted(converge_all(lab, lab.spec.hosts, NODE_STEPS, parts, lambda host: f"prepare {host.name}"))


def make_control_plane(lab: Lab) -> tuple[Outcome, str]:
    """Run kubeadm init on the first control plane and fetch its kubeconfig."""
    made = converge_all(lab, [lab.control_plane], (init_step(lab),), lab.parts(), lambda _: "kubeadm init")
    health.write_kubeconfig(lab.runner(lab.control_plane), lab.kubeconfig, lab.spec.name, lab.spec.ports.api)
    return _counted(made)


def init_step(lab: Lab) -> Step:
    """Return the step that makes this lab's control plane."""
    return kubeadm.init_step(not lab.spec.workers, lab.image_tag("image-etcd"), lab.image_tag("image-coredns"))


def install_network(lab: Lab) -> tuple[Outcome, str]:
    """Put Canal into the cluster."""
    made = converge_all(lab, [lab.control_plane], (network_step(lab),), lab.parts(), lambda _: "network")
    return _counted(made)


def network_step(lab: Lab) -> Step:
    """Return the step that puts Canal into this lab's cluster."""
    images = {name: lab.image_reference(f"image-{name}") for name in ("flannel", "calico-node")}
    files = sorted(lab.parts()["calico-crds"].glob("*.yaml"))
    return network.objects_step(images, b"---\n".join(path.read_bytes() + b"\n" for path in files))


def join_workers(lab: Lab) -> tuple[Outcome, str]:
    """Join every worker that is not in the cluster yet; a token is made only then."""
    parts = lab.parts()
    waiting = [host for host in lab.spec.workers if _plan_join(lab, host, parts)]
    if not waiting:
        return Outcome.UNCHANGED, "0 changes"
    step = kubeadm.join_step(credentials.issue_credentials(lab.runner(lab.control_plane)))
    return _counted(converge_all(lab, waiting, (step,), parts, lambda host: f"join {host.name}"))


def wait_until_ready(lab: Lab) -> tuple[Outcome, str]:
    """Wait until every node is Ready and the cluster's DNS answers."""
    seconds = health.wait_until_nodes_ready(lab.kubeconfig, [host.name for host in lab.spec.hosts])
    return Outcome.UNCHANGED, f"after {seconds:.0f} s"


def _plan_join(lab: Lab, host: HostSpec, parts: dict[str, Path]) -> bool:
    plan, _ = read_plan(lab.runner(host), (kubeadm.join_step(None),), lab.node(host, parts))
    return bool(plan.changes)


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


def _outcome(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome.CHANGED if Outcome.CHANGED in outcomes else Outcome.UNCHANGED


def _counted(made: int) -> tuple[Outcome, str]:
    return (Outcome.CHANGED if made else Outcome.UNCHANGED), f"{made} changes"
