"""Which pod network a host has: containerd takes the first configuration in /etc/cni/net.d by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

OWN_FILE = "10-kubelab.conflist"
SUFFIXES = {".conf", ".conflist", ".json"}
"""What libcni reads; other files there, such as a network's kubeconfig, are no configurations."""


def find_foreign(paths: Sequence[str]) -> list[str]:
    """Return the configurations of other pod networks, in the order in which containerd sees them."""
    found = [path for path in paths if PurePosixPath(path).suffix in SUFFIXES]
    return sorted(path for path in found if PurePosixPath(path).name != OWN_FILE)


def comes_first(path: str) -> bool:
    """Return whether containerd would take this configuration instead of kubelab's."""
    return PurePosixPath(path).name < OWN_FILE
