"""What must be free on the machine, and that everything missing is named before anything is made."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubelab_helpers.cluster.spec import LabSpec, Ports
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.lab import machine
from kubelab_helpers.result import Outcome

from .support import make_lab


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def ports() -> Ports:
    """Return ports that are free."""
    return Ports(http=free_port(), https=free_port(), api=free_port(), registry=free_port())


@pytest.fixture(autouse=True)
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry of a lab on this machine is not this lab's."""
    monkeypatch.setattr(machine, "registry_state", lambda _: None)


@pytest.fixture(autouse=True)
def modest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any machine that runs the tests has this much."""
    monkeypatch.setattr(machine, "MEMORY_NEEDED_MIB", 1)
    monkeypatch.setattr(machine, "DISK_NEEDED_GIB", 0)


def test_a_free_machine_is_as_it_should_be(tmp_path: Path, ports: Ports) -> None:
    assert machine.check_preconditions(make_lab(tmp_path, LabSpec(ports=ports)))[0] is Outcome.UNCHANGED


def test_a_taken_port_is_named_with_its_holder(tmp_path: Path, ports: Ports) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", ports.http))
        listener.listen()
        with pytest.raises(BlockedError) as caught:
            machine.check_preconditions(make_lab(tmp_path, LabSpec(ports=ports)))
    assert f"port {ports.http} (ports.http) is held by " in caught.value.what
    assert f"(process {os.getpid()})" in caught.value.what
    assert "choose other ports in kubelab.yaml" in caught.value.next_step


def test_too_little_memory_and_disk_say_how_much(tmp_path: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MEMORY_NEEDED_MIB", 10**9)
    monkeypatch.setattr(machine, "DISK_NEEDED_GIB", 10**9)
    with pytest.raises(BlockedError) as caught:
        machine.check_preconditions(make_lab(tmp_path, LabSpec(ports=ports)))
    memory, disk = caught.value.what.split("; ")
    assert memory.endswith(" MiB of memory is free, 1000000000 MiB is needed")
    assert int(memory.split()[0]) > 0
    assert disk.endswith(f" GiB is free under {tmp_path}, 1000000000 GiB is needed")


def test_a_running_lab_holds_its_own_ports(tmp_path: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second `up` does not trip over what the first one made."""
    monkeypatch.setattr(machine, "MEMORY_NEEDED_MIB", 10**9)
    lab = make_lab(tmp_path, LabSpec(ports=ports))
    labels = {"io.kubelab.owner": lab.owner, "io.kubelab.input-hash": "1"}
    node: Any = SimpleNamespace(name="kubelab-control-1", status="running", labels=labels)
    lab.engine.containers.list = lambda **_: [node]  # type: ignore[method-assign]  # a stand-in
    assert machine.check_preconditions(lab) == (Outcome.UNCHANGED, "the nodes are there already")
