"""A cluster brought to the version of Kubernetes that its description names, one part of one node after the other.

What is still to be done is read from the cluster and its hosts each time, so that the same call goes on where one was
cut off. https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-upgrade/
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from kubelab_helpers.cluster import kubeadm, members, snapshots
from kubelab_helpers.cluster.health import ApiError, wait_until_none
from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.cluster.upgrade import NodeVersion, UpgradeStage, plan_upgrade
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.executor import converge
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.hosts.steps.runtime import desire_images, desire_kubeadm
from kubelab_helpers.lab import cluster, machine, upkeep
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.joining import find_acting, find_founder, read_stamped
from kubelab_helpers.lab.parallel import converge_all, for_each
from kubelab_helpers.lab.registry import keep_secrets
from kubelab_helpers.lab.stages import Stage
from kubelab_helpers.result import Outcome

IMAGES_STEP = Step("images", desire_images)
KUBEADM_STEP = Step("kubeadm", desire_kubeadm)
RESTART_SECONDS = 180.0
"""An API server answered again 1 to 25 s after its manifest changed; the rest is for slow disks."""
TITLES = {
    "apply": "kubeadm upgrade apply: the first control plane and the cluster's objects",
    "node": "kubeadm upgrade node",
    "kubelet": "drained, kubelet and kubectl replaced, taken back into service",
}


@dataclass(frozen=True)
class DrainOptions:
    """How a node is emptied: seconds for its pods to move, and whether pods that nobody starts anew are ended."""

    seconds: float = 300
    force: bool = False


def decide_upgrade(lab: Lab, *, force: bool = False) -> tuple[UpgradeStage, ...]:
    """Read the cluster and return what is still to be done; empty when every node has the version.

    BlockedError names all that stands against it, before anything is touched; pods that a drain would end for good
    do, unless `force` says that they may be ended.
    """
    cluster.reach_hosts(lab)
    stages = plan_upgrade(_read_nodes(lab), lab.spec.kubernetes_version)
    drained = {stage.node for stage in stages if stage.part == "kubelet"}
    bare = [] if force else members.find_bare_pods(find_acting(lab), drained)
    if bare:
        raise BlockedError(
            f"these pods would be ended, and nothing starts them anew: {', '.join(bare)}",
            next_step="stop them (a user's server: in the hub's admin page), or end them with --force; "
            "what is in users' homes stays",
        )
    return stages


def require_described(nodes: Collection[str], described: Collection[str]) -> None:
    """Refuse an upgrade of a cluster that is not the described one: it must reach every node, and wait for each."""
    if strangers := [name for name in nodes if name not in described]:
        raise BlockedError(
            f"in the cluster, and not in kubelab.yaml: {', '.join(strangers)}",
            next_step="describe them there, or take them out of the cluster: an upgrade must reach every node",
        )
    if absent := [name for name in described if name not in nodes]:
        raise BlockedError(
            f"in kubelab.yaml, and not in the cluster: {', '.join(absent)}",
            next_step="take them out of kubelab.yaml until the upgrade ended; `kubelab cluster add` joins them then",
        )


def upgrade_stages(lab: Lab, decided: Sequence[UpgradeStage], drain: DrainOptions) -> tuple[Stage, ...]:
    """Return the stages of an upgrade: what is put ready, the decided parts in their order, and the end."""
    return tuple(_stages(lab, decided, drain))


def _stages(lab: Lab, decided: Sequence[UpgradeStage], drain: DrainOptions) -> Iterator[Stage]:
    yield Stage("parts", "the new version's parts are fetched or built, and verified", machine.fetch_parts)
    if decided:
        yield Stage("images", "the new version's images are on every node", _load_images)
    if any(stage.part == "apply" for stage in decided):
        yield Stage("snapshot", "etcd's data is saved", _save_etcd)
    for stage in decided:
        host = lab.spec.host(stage.node)
        run = partial(_replace_kubelet, host=host, drain=drain) if stage.part == "kubelet" else _kubeadm(stage, host)
        yield Stage(f"{stage.part} {stage.node}", f"{stage.node}: {TITLES[stage.part]}", run)
    yield Stage("service", "every node that was held takes pods again", _release_held)
    yield Stage("ready", "every node is Ready and names resolve", cluster.wait_until_ready)
    yield Stage("kubeconfig", "the renewed certificate of the operator", cluster.make_control_plane)
    yield Stage("record", "each host's journal says that the run has ended", cluster.end_runs)


def _read_nodes(lab: Lab) -> list[NodeVersion]:
    acting = find_acting(lab)
    servers = members.read_api_servers(acting)
    found = {member.name: member for member in members.read_members(acting)}
    require_described(found, [host.name for host in lab.spec.hosts])
    founder = find_founder(lab)
    hosts = sorted(lab.spec.hosts, key=lambda host: host != founder)
    cut_off = dict(zip(hosts, for_each(hosts, lambda host: _is_cut_off(lab.runner(host))), strict=True))
    return [
        NodeVersion(
            host.name,
            host.role,
            found[host.name].version.removeprefix("v"),
            found[host.name].ready,
            servers.get(host.name, ""),
            cut_off[host] or found[host.name].held,
        )
        for host in hosts
    ]


def _is_cut_off(runner: Runner) -> bool:
    return f"action:{kubeadm.UPGRADE}" in probe_state(runner, ()).unfinished


def _load_images(lab: Lab) -> tuple[Outcome, str]:
    """kube-proxy's new image is wanted on every node as soon as the first control plane has been upgraded."""
    made = converge_all(lab, lab.spec.hosts, (IMAGES_STEP,), lab.parts(), lambda host: f"images {host.name}")
    return _counted(made, f"{made} images")


def _save_etcd(lab: Lab) -> tuple[Outcome, str]:
    upkeep.enable_snapshots(lab)
    runner = find_acting(lab)
    made = snapshots.create_snapshot(runner)
    return Outcome.CHANGED, f"{runner.name}:{made.path}"


def _kubeadm(stage: UpgradeStage, host: HostSpec) -> Callable[[Lab], tuple[Outcome, str]]:
    def run(lab: Lab) -> tuple[Outcome, str]:
        patched = host.name in read_stamped(lab, "kubeadm-join")
        upgrade = kubeadm.upgrade_step("apply" if stage.part == "apply" else "node", patched=patched)
        node, task = lab.node(host, lab.parts()), f"{stage.part} {host.name}"
        made = converge(lab.runner(host), (KUBEADM_STEP, upgrade), node, lab.reporter, task)
        _wait_for(lab, lambda acting: _find_other_server(acting, host, lab.spec.kubernetes_version), host.name)
        return _counted(made, f"{made} changes")

    return run


def _replace_kubelet(lab: Lab, host: HostSpec, drain: DrainOptions) -> tuple[Outcome, str]:
    acting = find_acting(lab)
    member = next(each for each in members.read_members(acting) if each.name == host.name)
    if member.schedulable:
        members.hold(acting, host.name)
    lab.reporter.start(f"drain {host.name}")
    members.drain(acting, host.name, drain.seconds, force=drain.force)
    lab.reporter.finish(f"drain {host.name}", Outcome.CHANGED, "its pods run elsewhere, or wait")
    keep_secrets(lab)
    node = lab.node(host, lab.parts())
    made = converge(lab.runner(host), cluster.NODE_STEPS, node, lab.reporter, f"kubelet {host.name}")
    _wait_for(lab, lambda acting: _find_other_kubelet(acting, host, lab.spec.kubernetes_version), host.name)
    if member.schedulable or member.held:
        _release(lab, host.name)
    return _counted(made, f"{made} changes")


def _release_held(lab: Lab) -> tuple[Outcome, str]:
    """A run that was killed after a kubelet's replacement leaves its node cordoned."""
    held = [member.name for member in members.read_members(find_acting(lab)) if member.held]
    for name in held:
        _release(lab, name)
    return _counted(len(held), ", ".join(held))


def _release(lab: Lab, name: str) -> None:
    """Release a node. Its new kubelet has started the API server anew, which refuses for a moment when it is ready."""

    def release(acting: Runner) -> str:
        members.release(acting, name)
        return ""

    _wait_for(lab, release, name)


def _wait_for(lab: Lab, find_missing: Callable[[Runner], str], what: str) -> None:
    def missing() -> str:
        try:
            acting = find_acting(lab)
        except BlockedError as error:  # its API server restarts, and there may be no other
            raise ApiError(error.what) from error
        return find_missing(acting)

    wait_until_none(missing, RESTART_SECONDS, what)


def _find_other_server(acting: Runner, host: HostSpec, wanted: str) -> str:
    found = members.read_api_servers(acting).get(host.name, wanted)
    return "" if found == wanted else f"its API server still has {found}"


def _find_other_kubelet(acting: Runner, host: HostSpec, wanted: str) -> str:
    member = next(each for each in members.read_members(acting) if each.name == host.name)
    if member.version.removeprefix("v") != wanted:
        return f"its kubelet still says {member.version}"
    return "" if member.ready else "it is not Ready"


def _counted(made: int, detail: str) -> tuple[Outcome, str]:
    return (Outcome.CHANGED if made else Outcome.UNCHANGED), detail
