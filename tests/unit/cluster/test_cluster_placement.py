"""Which images belong on which node: by selectors, taints and tolerations, as Kubernetes has it."""

from __future__ import annotations

from typing import Any

import pytest

from kubelab_helpers.cluster.placement import (
    NodeTraits,
    Placement,
    Taint,
    read_placement,
    read_traits,
    select_images,
    takes,
)

GPU = Taint("example.org/gpu", "NoSchedule", "a100")
CONTROL_PLANE = Taint("node-role.kubernetes.io/control-plane", "NoSchedule")


def node(*taints: Taint, name: str = "n", **labels: str) -> NodeTraits:
    return NodeTraits(name, labels, taints)


@pytest.mark.parametrize(
    ("labels", "selector", "taken"),
    [
        ({}, {}, True),
        ({"pool": "users"}, {"pool": "users"}, True),
        ({"pool": "users"}, {"pool": "others"}, False),
        ({"pool": "users"}, {"pool": "users", "disk": "fast"}, False),
        ({}, {"pool": ""}, False),
    ],
)
def test_every_label_of_the_selector_must_be_there(
    labels: dict[str, str], selector: dict[str, str], taken: bool
) -> None:
    assert takes(node(**labels), Placement(("image",), selector)) is taken


@pytest.mark.parametrize(
    ("taint", "toleration", "taken"),
    [
        (GPU, None, False),
        (GPU, {"key": "example.org/gpu", "operator": "Exists"}, True),
        (GPU, {"key": "example.org/gpu", "value": "a100"}, True),
        (GPU, {"key": "example.org/gpu", "operator": "Equal", "value": "h100"}, False),
        (GPU, {"key": "example.org/gpu", "operator": "Exists", "effect": "NoSchedule"}, True),
        (GPU, {"key": "example.org/gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        (GPU, {"operator": "Exists"}, True),
        (GPU, {"key": "example.org/other", "operator": "Exists"}, False),
        (CONTROL_PLANE, {"key": CONTROL_PLANE.key}, True),
        (CONTROL_PLANE, None, False),
        (Taint("slow", "PreferNoSchedule"), None, True),
        # A node that is cordoned, or not ready for the moment, is to have its images when it is back.
        (Taint("node.kubernetes.io/unschedulable", "NoSchedule"), None, True),
        (Taint("node.kubernetes.io/not-ready", "NoExecute"), None, True),
    ],
)
def test_every_taint_must_be_tolerated(taint: Taint, toleration: dict[str, Any] | None, taken: bool) -> None:
    tolerations = (toleration,) if toleration else ()
    assert takes(node(taint), Placement(("image",), tolerations=tolerations)) is taken


def test_each_node_gets_what_may_run_there_once_and_in_order() -> None:
    placements = [
        Placement(("notebook", "other")),
        Placement(("large", "notebook"), {"gpu": "true"}, ({"operator": "Exists"},)),
    ]
    nodes = [
        node(name="plain"),
        node(GPU, name="tainted", gpu="true"),
        node(name="both", gpu="true"),
        node(CONTROL_PLANE, name="control"),
    ]
    assert select_images(placements, nodes) == {
        "plain": ["notebook", "other"],
        "tainted": ["large", "notebook"],
        "both": ["notebook", "other", "large"],
    }


def test_nodes_and_daemon_sets_are_read_as_the_api_has_them() -> None:
    """What is empty is left out there."""
    item: dict[str, Any] = {"metadata": {"name": "n"}, "spec": {}}
    assert read_traits(item) == NodeTraits("n")
    taint = {"key": "a", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}
    item = {"metadata": {"name": "n", "labels": {"l": "v"}}, "spec": {"taints": [taint]}}
    assert read_traits(item) == NodeTraits("n", {"l": "v"}, (Taint("a", "NoExecute"),))
    pod = {"initContainers": [{"image": "a"}, {"image": "b"}], "containers": [{"image": "pause"}]}
    assert read_placement({"spec": {"template": {"spec": pod}}}) == Placement(("a", "b"))
