"""Removing what kubelab's programs made on a host, and nothing that someone else put there."""

from __future__ import annotations

from kubelab_helpers import resources
from kubelab_helpers.hosts.command import Command

_REMOVE_EMPTY = '[ ! -d "$1" ] || rmdir -- "$1" 2>/dev/null || echo "kept $1: it is not empty"'


def remove_empty_directory(path: str) -> Command:
    """Return the command that removes a directory if nothing is in it: what someone put there since is theirs."""
    return Command(("sh", "-c", _REMOVE_EMPTY, "remove-directory", path))


def remove_tree(path: str) -> Command:
    """Return the command that removes a directory with its content, except what is, or is under, a mount point.

    kubeadm's own reset has deleted mounted data (https://github.com/kubernetes/kubeadm/issues/1822).
    """
    return removal_command("tree", path)


def removal_command(name: str, *arguments: str) -> Command:
    """Return the command that runs `host-setup/removal/<name>.sh`: POSIX sh, because a host may have no Python."""
    script = resources.path(f"host-setup/removal/{name}.sh").read_text()
    return Command(("sh", "-c", script, name, *arguments), timeout_seconds=180)
