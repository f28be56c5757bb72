"""The ports that a node needs, read from `host-setup/ports.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from kubelab_helpers import resources
from kubelab_helpers.hosts.spec import Role


@dataclass(frozen=True)
class NeededPort:
    """One port: what uses it, on which role, and whether other hosts must reach it."""

    port: int
    protocol: str
    role: str
    open: bool
    use: str


@cache
def load_ports() -> tuple[NeededPort, ...]:
    """Return every port of the file."""
    import yaml

    data = yaml.safe_load(resources.path("host-setup/ports.yaml").read_text())
    return tuple(NeededPort(**each) for each in data["ports"])


def needed_ports(role: Role) -> list[NeededPort]:
    """Return the ports that a node of this role needs."""
    return [each for each in load_ports() if each.role in ("any", role)]
