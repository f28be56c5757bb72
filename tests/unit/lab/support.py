"""A lab without an engine, and a reporter that remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kubelab_helpers.cluster.spec import LabSpec
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.result import Outcome


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
