"""Which version a lab's hosts get, what refuses another one, and the stages of an upgrade."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubelab_helpers.cluster.spec import HostSpec, LabSpec
from kubelab_helpers.cluster.upgrade import UpgradeStage
from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.ssh_access import SshAccess
from kubelab_helpers.lab.context import PARTS, Lab
from kubelab_helpers.lab.joining import require_same_version
from kubelab_helpers.lab.upgrade import DrainOptions, require_described, upgrade_stages
from tests.unit.hosts.support import Answering

from .support import make_lab

OLD, NEW = "1.36.3", "1.37.2"
HOSTS = tuple(
    HostSpec(name, "control-plane" if name == "c1" else "worker", f"192.0.2.{number}", ssh=SshAccess(name))
    for number, name in enumerate(("c1", "w1"), start=1)
)


def lab_of(folder: Path, version: str) -> Lab:
    return make_lab(folder, LabSpec(kubernetes_version=version, hosts=HOSTS))


def standing(lab: Lab, kubelets: dict[str, str]) -> None:
    """Let each named host be a node of the cluster with that kubelet, and the others bare."""

    def answer(command: Command, version: str | None) -> bytes:
        if "--version" in command.argv:
            return f"Kubernetes v{version}\n".encode()
        return b"stamp\tkubeadm-join\tkubelab\t\n" if version else b""

    for host in lab.spec.hosts:
        version = kubelets.get(host.name)
        lab._runners[host.name] = Answering(lambda command, found=version: answer(command, found), name=host.name)  # type: ignore[misc]


def test_only_the_parts_of_kubernetes_have_a_version_beside_them(tmp_path: Path) -> None:
    assert lab_of(tmp_path, NEW).part_names == PARTS
    older = dict(zip(PARTS, lab_of(tmp_path, OLD).part_names, strict=True))
    assert older["kubelet"] == f"kubelet@{OLD}"
    assert older["image-kube-proxy"] == f"image-kube-proxy@{OLD}"
    assert older["containerd"] == "containerd"
    assert lab_of(tmp_path, OLD).image_reference("image-kube-apiserver").endswith(f":v{OLD}")


def test_a_version_that_is_not_carried_is_refused(tmp_path: Path) -> None:
    """As that of a ticket from another release."""
    with pytest.raises(InvalidInputError, match="no parts of Kubernetes"):
        _ = lab_of(tmp_path, "1.20.0").part_names


@pytest.mark.parametrize("kubelets", [{}, {"c1": NEW}, {"c1": NEW, "w1": NEW}])
def test_bare_hosts_and_nodes_of_that_version_may_be_prepared(tmp_path: Path, kubelets: dict[str, str]) -> None:
    lab = lab_of(tmp_path, NEW)
    standing(lab, kubelets)
    require_same_version(lab, lab.spec.hosts)


@pytest.mark.parametrize(
    ("wanted", "kubelets", "remedy"),
    [
        (NEW, {"c1": OLD, "w1": OLD}, "`kubelab cluster upgrade`"),
        (NEW, {"c1": NEW, "w1": OLD}, "`kubelab cluster upgrade`"),
        (OLD, {"c1": NEW, "w1": OLD}, f"version: {NEW}"),
    ],
)
def test_a_node_s_kubelet_is_not_replaced_in_place(
    tmp_path: Path, wanted: str, kubelets: dict[str, str], remedy: str
) -> None:
    lab = lab_of(tmp_path, wanted)
    standing(lab, kubelets)
    with pytest.raises(BlockedError) as refused:
        require_same_version(lab, lab.spec.hosts)
    assert f"to have Kubernetes {wanted}" in refused.value.what
    assert remedy in (refused.value.next_step or "")


def test_etcd_is_saved_before_the_first_api_server_and_nodes_are_released_last(tmp_path: Path) -> None:
    decided = (UpgradeStage("c1", "apply"), UpgradeStage("c1", "kubelet"), UpgradeStage("w1", "kubelet"))
    names = [each.name for each in upgrade_stages(lab_of(tmp_path, NEW), decided, DrainOptions())]
    assert names == [
        "parts",
        "images",
        "snapshot",
        "apply c1",
        "kubelet c1",
        "kubelet w1",
        "service",
        "ready",
        "kubeconfig",
        "record",
    ]


def test_an_ended_upgrade_only_looks(tmp_path: Path) -> None:
    names = [each.name for each in upgrade_stages(lab_of(tmp_path, NEW), (), DrainOptions())]
    assert names == ["parts", "service", "ready", "kubeconfig", "record"]


@pytest.mark.parametrize(
    ("nodes", "said"),
    [(["c1", "w1", "w2"], "in the cluster, and not in kubelab.yaml: w2"), (["c1"], "and not in the cluster: w1")],
)
def test_only_the_described_cluster_is_upgraded(nodes: list[str], said: str) -> None:
    """A node that is not reached would stay behind; one that is not there would be waited for."""
    with pytest.raises(BlockedError, match=said):
        require_described(nodes, ["c1", "w1"])
    require_described(["c1", "w1"], ["w1", "c1"])
