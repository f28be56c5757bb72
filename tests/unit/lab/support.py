"""A lab without an engine, and a reporter that remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kubelab_helpers.cluster.spec import HostSpec, LabSpec
from kubelab_helpers.hosts.ssh_access import SshAccess
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.result import Outcome


def over_ssh(name: str, number: int, role: Any = "control-plane", **more: Any) -> HostSpec:
    """Return a host over SSH, at 192.0.2.NUMBER."""
    address = f"192.0.2.{number}"
    return HostSpec(name, role, address, ssh=SshAccess(address), **more)


HOSTS = (
    over_ssh("c1", 1, public_address="198.51.100.1"),
    over_ssh("c2", 2),
    over_ssh("c3", 3),
    over_ssh("w1", 9, "worker"),
)


@dataclass
class Remembering:
    """Keeps which tasks ended and how."""

    ended: list[tuple[str, Outcome]] = field(default_factory=list)

    def start(self, task: str, total: float | None = None) -> None:
        """See result.Reporter."""

    def advance(self, task: str, completed: float, note: str = "") -> None:
        """See result.Reporter."""

    def finish(self, task: str, outcome: Outcome, note: str = "") -> None:  # noqa: ARG002 — the protocol's
        """See result.Reporter."""
        self.ended.append((task, outcome))


def make_lab(folder: Path, spec: LabSpec | None = None, *, replace: bool = False) -> Lab:
    """Return a lab whose engine has no container."""
    lab = Lab(spec or LabSpec(), folder / ".kubelab", Remembering(), replace)
    engine: Any = SimpleNamespace(
        containers=SimpleNamespace(list=lambda **_: []), info=lambda: {"DockerRootDir": str(folder)}
    )
    lab.__dict__["engine"] = engine
    return lab
