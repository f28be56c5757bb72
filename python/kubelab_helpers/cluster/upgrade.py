"""An upgrade of Kubernetes, decided: which nodes, in which order, or why not. Nothing here runs anything.

https://kubernetes.io/releases/version-skew-policy/
https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-upgrade/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.hosts.spec import Role

Part = Literal["apply", "node", "kubelet"]
"""`apply`: kubeadm upgrade apply; `node`: kubeadm upgrade node; `kubelet`: drain, kubelet and kubectl, uncordon."""


@dataclass(frozen=True)
class NodeVersion:
    """A node as the cluster has it. `api_server`: its API server's version, empty on a worker.

    `cut_off`: an upgrade of it was begun there and did not end.
    """

    name: str
    role: Role
    kubelet: str
    ready: bool
    api_server: str = ""
    cut_off: bool = False


@dataclass(frozen=True)
class UpgradeStage:
    """One part of an upgrade on one node."""

    node: str
    part: Part


def plan_upgrade(nodes: Sequence[NodeVersion], wanted: str) -> tuple[UpgradeStage, ...]:
    """Return what is still to be done, in order: empty when every node has the version.

    `nodes`: the control plane with which it begins first.
    Versions are texts like 1.37.2. BlockedError lists every reason why it must not begin, with the remedy of each.
    A cluster of which some nodes have the wanted version already is one whose upgrade was cut off: it goes on.
    """
    target = parse_version(wanted)
    left = [stage for node in nodes for stage in _missing(node, target)]
    if not left:
        return ()
    reasons = [reason for node in nodes for reason in _refusals(node, nodes, target, wanted)]
    if reasons:
        raise BlockedError("the upgrade is refused: " + "\n".join(reasons), next_step="nothing was touched")
    founder = next(node.name for node in nodes if node.role == "control-plane")
    # Every API server before the first kubelet: a kubelet must never be newer than an API server that it asks.
    order = {("apply", True): 0, ("node", True): 1, ("kubelet", True): 2, ("node", False): 3, ("kubelet", False): 3}
    controls = {node.name for node in nodes if node.role == "control-plane"}
    stages = [UpgradeStage(each.node, "apply") if _begins(each, founder, nodes, target) else each for each in left]
    return tuple(sorted(stages, key=lambda each: order[each.part, each.node in controls]))


def parse_version(text: str) -> tuple[int, int, int]:
    """Return the three numbers of a version; InvalidInputError when it is none."""
    numbers = text.removeprefix("v").split(".")
    if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
        raise InvalidInputError(f"{text} is no version of Kubernetes", next_step="write it like 1.37.2")
    major, minor, patch = (int(number) for number in numbers)
    return major, minor, patch


def _missing(node: NodeVersion, target: tuple[int, int, int]) -> list[UpgradeStage]:
    # kubeadm changes the API server first: its version alone does not say that the rest of the control plane is done.
    server_behind = bool(node.api_server) and (parse_version(node.api_server) != target or node.cut_off)
    kubelet_behind = parse_version(node.kubelet) != target
    # A worker's `kubeadm upgrade node` writes kubelet's configuration, which goes with the kubelet.
    first = [UpgradeStage(node.name, "node")] if server_behind or (kubelet_behind and not node.api_server) else []
    return [*first, *([UpgradeStage(node.name, "kubelet")] if kubelet_behind else [])]


def _begins(stage: UpgradeStage, founder: str, nodes: Sequence[NodeVersion], target: tuple[int, int, int]) -> bool:
    applied = any(node.api_server and parse_version(node.api_server) == target and not node.cut_off for node in nodes)
    return stage.part == "node" and stage.node == founder and not applied


def _refusals(node: NodeVersion, nodes: Sequence[NodeVersion], target: tuple[int, int, int], wanted: str) -> list[str]:
    well = node.ready or node.cut_off
    reasons = [] if well else [f"{node.name} is not Ready; mend it, or remove it from the cluster"]
    for what, text in (("API server", node.api_server), ("kubelet", node.kubelet)):
        if not text:
            continue
        found = parse_version(text)
        if found > target:
            reasons.append(f"{node.name}'s {what} has {text}, newer than {wanted}; Kubernetes cannot go back")
        elif found[0] != target[0] or target[1] - found[1] > 1:
            following = f"{found[0]}.{found[1] + 1}"
            reasons.append(f"{node.name}'s {what} has {text}; one minor at a time: upgrade to {following} first")
    servers = [each.api_server for each in nodes if each.api_server]
    ahead = [server for server in servers if parse_version(node.kubelet)[:2] > parse_version(server)[:2]]
    if ahead:
        reasons.append(
            f"{node.name}'s kubelet {node.kubelet} is newer than an API server ({ahead[0]}); put it back first"
        )
    return reasons
