"""Who holds a port of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelab_helpers.errors import BlockedError

if TYPE_CHECKING:
    from docker import DockerClient

LOOPBACK_LISTENERS = {"127.0.0.1", "0.0.0.0", "::"}  # noqa: S104  compared, never bound


def require_free_port(engine: DockerClient, port: int) -> None:
    """Raise BlockedError, naming the holder, if a TCP port on 127.0.0.1 is taken."""
    holder = probe_port_holder(engine, port)
    if holder is not None:
        raise BlockedError(
            f"port {port} of this machine, which the registry needs, is held by {holder}",
            next_step="stop that, or give the registry another port",
        )


def probe_port_holder(engine: DockerClient, port: int) -> str | None:
    """Return who listens on a TCP port that 127.0.0.1 would need, in words; None if nobody does."""
    import psutil

    # The kernel tells the process only to its owner and to root.
    found = [
        each.pid
        for each in psutil.net_connections(kind="tcp")
        if each.status == psutil.CONN_LISTEN
        and each.laddr
        and each.laddr.port == port
        and each.laddr.ip in LOOPBACK_LISTENERS
    ]
    if not found:
        return None
    for container in engine.containers.list():
        for bindings in (container.ports or {}).values():
            if any(int(binding["HostPort"]) == port for binding in bindings or ()):
                return f"the container {container.name}"
    pid = next((each for each in found if each), None)
    if pid is None:
        return "a process of another user"
    try:
        return f"{psutil.Process(pid).name()} (process {pid})"
    except psutil.NoSuchProcess:
        return None
