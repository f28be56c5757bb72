"""How a lab's protection reaches its nodes and this machine's own requests, and that it is kept before it is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from kubelab_helpers.cluster import engine, nodes
from kubelab_helpers.cluster.registry_secrets import Protection
from kubelab_helpers.cluster.spec import LabSpec, Ports
from kubelab_helpers.images.registry import RegistryState
from kubelab_helpers.lab import down, registry
from kubelab_helpers.lab.stages import CLUSTER_STAGES
from kubelab_helpers.result import Outcome

from .support import HOSTS, make_lab

if TYPE_CHECKING:
    import pytest

BOTH = LabSpec(registry=Protection(tls=True, authentication=True))


def test_an_open_registry_has_no_secrets(tmp_path: Path) -> None:
    lab = make_lab(tmp_path)
    assert registry.keep_secrets(lab) == (Outcome.UNCHANGED, "none")
    assert not lab.registry_folder.exists()
    (mirror,) = lab._mirrors(lab.spec.hosts[0])
    assert (mirror.urls, mirror.authority, mirror.authorization) == (("http://172.30.250.2:5000",), b"", "")
    assert lab.registry_access.address == "http://127.0.0.1:5000"


def test_nodes_and_this_machine_have_the_same_secrets(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, BOTH)
    assert registry.keep_secrets(lab) == (Outcome.CHANGED, "tls, authentication")
    assert registry.keep_secrets(lab)[0] is Outcome.UNCHANGED
    (mirror,) = lab._mirrors(lab.spec.hosts[0])
    assert mirror.urls == ("https://172.30.250.2:5000",)
    assert mirror.authority == (lab.registry_folder / "ca.crt").read_bytes()
    login = lab.registry_access.login
    assert login
    assert mirror.authorization == login.authorization

    state = RegistryState("running", 5001, {}, tls=True, authentication=True)
    access = registry.find_access(lab.folder, state)
    assert (access.address, access.login, access.folder) == ("https://127.0.0.1:5001", login, lab.registry_folder)
    assert make_lab(tmp_path, BOTH).registry_secrets == lab.registry_secrets


def test_a_folder_without_a_password_makes_none(tmp_path: Path) -> None:
    state = RegistryState("running", 5000, {}, authentication=True)
    assert registry.find_access(tmp_path / ".kubelab", state).login is None
    assert list(tmp_path.iterdir()) == []


def test_the_cluster_says_how_its_registry_is_reached(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, LabSpec(ports=Ports(registry=5001)))
    said = yaml.safe_load(registry.describe_hosting(lab))
    assert (said["host"], said["hostFromContainerRuntime"], said["hostFromClusterNetwork"]) == (
        "localhost:5001",
        "localhost:5000",
        "172.30.250.2:5000",
    )


def test_hosts_elsewhere_say_nothing_of_a_registry(tmp_path: Path) -> None:
    """Nobody but kubelab can put anything into theirs."""
    lab = make_lab(tmp_path, LabSpec(hosts=HOSTS))
    assert registry.announce_registry(lab) == (Outcome.UNCHANGED, "no container nodes")


def test_secrets_are_kept_before_a_node_has_them() -> None:
    names = [stage.name for stage in CLUSTER_STAGES]
    assert names.index("secrets") < names.index("prepare")


def test_they_go_with_the_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = make_lab(tmp_path, BOTH)
    registry.keep_secrets(lab)
    monkeypatch.setattr(engine, "ensure_running", lambda: Outcome.UNCHANGED)
    monkeypatch.setattr(nodes, "remove_cluster", lambda *_: [])
    assert f"file {lab.registry_folder / 'password'}" in down.remove_lab(lab)
    assert not lab.registry_folder.exists()
