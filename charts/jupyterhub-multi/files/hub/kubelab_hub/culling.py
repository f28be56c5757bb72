"""Stopping servers that nobody uses: jupyterhub-idle-culler as a service of the hub."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubelab_hub.service import HUB_PORT

if TYPE_CHECKING:
    from kubelab_hub.settings import Settings

NAME = "jupyterhub-idle-culler"


def make_culler_command(cull: Mapping[str, Any], base_url: str) -> list[str]:
    """Return the argv of the culler for the values below `cull`."""
    command = [sys.executable, "-m", "jupyterhub_idle_culler"]
    command += [
        # It runs in the hub's pod; by its Service the hub would have to be admitted to itself by the NetworkPolicy.
        f"--url=http://127.0.0.1:{HUB_PORT}{base_url}hub/api",
        f"--timeout={cull['timeout']}",
        f"--cull-every={cull['every']}",
        f"--concurrency={cull['concurrency']}",
    ]
    command += [f"--cull-admin-users={cull['adminUsers']}"]
    if cull["maxAge"]:
        command.append(f"--max-age={cull['maxAge']}")
    if cull["users"]:
        command.append("--cull-users=True")
    if cull["removeNamedServers"]:
        command.append("--remove-named-servers=True")
    return command


def make_culler(settings: Settings) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the culler as a service, and a role with the scopes it uses and no more; nothing if it is off."""
    cull = settings["cull"]
    if not cull["enabled"]:
        return [], []
    scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    if cull["users"]:
        scopes.append("admin:users")
    service = {"name": NAME, "command": make_culler_command(cull, settings["baseUrl"])}
    return [service], [{"name": NAME, "scopes": scopes, "services": [NAME]}]
