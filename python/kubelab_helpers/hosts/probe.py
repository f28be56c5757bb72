"""The probes: POSIX sh programs that only read, because a host may have no Python."""

from __future__ import annotations

from kubelab_helpers import resources
from kubelab_helpers.hosts.command import Command

PROBE_TIMEOUT_SECONDS = 60.0


def probe_command(name: str, *arguments: str) -> Command:
    """Return the command that runs `host-setup/probe/<name>.sh` with these arguments."""
    script = resources.path(f"host-setup/probe/{name}.sh").read_text()
    return Command(("sh", "-c", script, name, *arguments), timeout_seconds=PROBE_TIMEOUT_SECONDS)
