"""Which node is upgraded when, and what is refused before anything is touched."""

from __future__ import annotations

import dataclasses

import pytest

from kubelab_helpers.cluster.upgrade import NodeVersion, UpgradeStage, parse_version, plan_upgrade
from kubelab_helpers.errors import BlockedError, InvalidInputError

OLD, NEW = "1.36.3", "1.37.2"
FIRST = NodeVersion("c1", "control-plane", OLD, True, OLD)
SECOND = NodeVersion("c2", "control-plane", OLD, True, OLD)
WORKER = NodeVersion("w1", "worker", OLD, True)


def texts(stages: tuple[UpgradeStage, ...]) -> list[str]:
    return [f"{stage.part} {stage.node}" for stage in stages]


def test_api_servers_come_before_kubelets_and_workers_last() -> None:
    expected = ["apply c1", "node c2", "kubelet c1", "kubelet c2", "node w1", "kubelet w1"]
    assert texts(plan_upgrade([FIRST, SECOND, WORKER], NEW)) == expected


def test_workers_are_upgraded_one_after_the_other() -> None:
    other = dataclasses.replace(WORKER, name="w2")
    stages = texts(plan_upgrade([FIRST, WORKER, other], NEW))
    assert stages[-4:] == ["node w1", "kubelet w1", "node w2", "kubelet w2"]


def test_a_cluster_of_that_version_has_nothing_to_do() -> None:
    assert plan_upgrade([dataclasses.replace(FIRST, kubelet=NEW, api_server=NEW)], NEW) == ()


def test_an_upgrade_that_was_cut_off_goes_on() -> None:
    """`apply` belongs to the first of all API servers only: after it the others are given what it decided."""
    nodes = [dataclasses.replace(FIRST, api_server=NEW), SECOND, WORKER]
    assert texts(plan_upgrade(nodes, NEW)) == ["node c2", "kubelet c1", "kubelet c2", "node w1", "kubelet w1"]
    assert texts(plan_upgrade([dataclasses.replace(FIRST, api_server=NEW, kubelet=NEW), WORKER], NEW)) == [
        "node w1",
        "kubelet w1",
    ]


@pytest.mark.parametrize(
    ("nodes", "wanted", "said"),
    [
        ([FIRST], "1.38.0", "upgrade to 1.37 first"),
        ([FIRST], "1.35.4", "Kubernetes cannot go back"),
        ([FIRST], "1.36.2", "Kubernetes cannot go back"),
        ([FIRST], "2.36.3", "one minor at a time"),
        ([FIRST, dataclasses.replace(WORKER, ready=False)], NEW, "w1 is not Ready"),
        ([FIRST, dataclasses.replace(WORKER, kubelet="1.37.1")], NEW, "newer than an API server"),
        ([FIRST, dataclasses.replace(WORKER, kubelet="1.35.4")], NEW, "w1's kubelet has 1.35.4"),
    ],
)
def test_what_cannot_end_well_is_refused(nodes: list[NodeVersion], wanted: str, said: str) -> None:
    with pytest.raises(BlockedError) as refused:
        plan_upgrade(nodes, wanted)
    assert said in refused.value.what


def test_a_control_plane_whose_upgrade_was_cut_off_is_upgraded_again() -> None:
    """Its API server has the version already; its scheduler, or the cluster's objects, may not."""
    half = dataclasses.replace(FIRST, api_server=NEW, cut_off=True, ready=False)
    assert texts(plan_upgrade([half, SECOND], NEW)) == ["apply c1", "node c2", "kubelet c1", "kubelet c2"]
    other = dataclasses.replace(SECOND, api_server=NEW, cut_off=True)
    done = dataclasses.replace(FIRST, api_server=NEW)
    assert texts(plan_upgrade([done, other], NEW)) == ["node c2", "kubelet c1", "kubelet c2"]


def test_a_patch_of_the_same_minor_is_an_upgrade() -> None:
    assert texts(plan_upgrade([FIRST], "1.36.4")) == ["apply c1", "kubelet c1"]


def test_versions_are_three_numbers() -> None:
    assert parse_version("v1.37.2") == (1, 37, 2)
    with pytest.raises(InvalidInputError):
        parse_version("1.37")
