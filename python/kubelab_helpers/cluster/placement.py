"""On which nodes the pods of a DaemonSet run, and so which images belong there. Pure.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OF_THE_MOMENT = "node.kubernetes.io/"
"""Taints that say how a node is just now (cordoned, not ready); the DaemonSet controller has its pods bear them."""
KEEPING_OFF = frozenset({"NoSchedule", "NoExecute"})


@dataclass(frozen=True)
class Taint:
    """What keeps pods off a node that do not tolerate it."""

    key: str
    effect: str
    value: str = ""


@dataclass(frozen=True)
class NodeTraits:
    """What of a node decides which pods it takes."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()


@dataclass(frozen=True)
class Placement:
    """Images, in the order in which they are wanted, and the nodes for which they are."""

    images: tuple[str, ...]
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()


def read_placement(daemon_set: Mapping[str, Any]) -> Placement:
    """Return what a DaemonSet's init containers start from, and where it runs; a manifest or an object of the API."""
    pod = daemon_set["spec"]["template"]["spec"]
    images = tuple(each["image"] for each in pod.get("initContainers", ()))
    return Placement(images, pod.get("nodeSelector", {}), tuple(pod.get("tolerations", ())))


def read_traits(node: Mapping[str, Any]) -> NodeTraits:
    """Return the traits of a Node object of the API."""
    taints = node["spec"].get("taints", ())
    return NodeTraits(
        node["metadata"]["name"],
        node["metadata"].get("labels", {}),
        tuple(Taint(each["key"], each["effect"], each.get("value", "")) for each in taints),
    )


def select_images(placements: Sequence[Placement], nodes: Iterable[NodeTraits]) -> dict[str, list[str]]:
    """Return the images that belong on each node, by its name, each once; nodes that need none are left out."""
    found = {
        node.name: list(dict.fromkeys(image for each in placements if takes(node, each) for image in each.images))
        for node in nodes
    }
    return {name: images for name, images in found.items() if images}


def takes(node: NodeTraits, placement: Placement) -> bool:
    """Return whether the pods of a placement may run on a node."""
    selected = all(node.labels.get(key) == value for key, value in placement.node_selector.items())
    return selected and all(
        any(_tolerates(toleration, taint) for toleration in placement.tolerations)
        for taint in node.taints
        if taint.effect in KEEPING_OFF and not taint.key.startswith(OF_THE_MOMENT)
    )


def _tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    if toleration.get("effect") not in (None, "", taint.effect):
        return False
    exists = toleration.get("operator") == "Exists"
    if not toleration.get("key"):
        return exists
    return toleration["key"] == taint.key and (exists or toleration.get("value", "") == taint.value)
