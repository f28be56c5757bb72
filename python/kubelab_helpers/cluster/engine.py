"""The container engine that carries container nodes, the registry and image builds: found, installed, started."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kubelab_helpers.artifacts.build import install_packages
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import LocalRunner
from kubelab_helpers.result import Outcome

if TYPE_CHECKING:
    from docker import DockerClient

    from kubelab_helpers.hosts.runner import Runner

START_TIMEOUT_SECONDS = 60.0
SYSTEMD = Path("/run/systemd/system")
"""There where systemd is PID 1: sd_booted(3)."""
DAEMON_LOG = Path("/var/log/kubelab-dockerd.log")


def client() -> DockerClient:
    """Return a client of the running engine; BlockedError if none answers."""
    import docker
    from docker.errors import DockerException

    try:
        found = docker.from_env(timeout=120)
        found.ping()
    except DockerException as error:
        raise BlockedError(
            f"no container engine answers: {error}", next_step="run `kubelab up` (or `make up`), which starts it"
        ) from error
    return found


def is_running() -> bool:
    """Return whether an engine answers."""
    try:
        client().close()
    except BlockedError:
        return False
    return True


def ensure_running() -> Outcome:
    """Install Docker from the distribution if it is missing and start it; BlockedError without the rights for that."""
    if is_running():
        return Outcome.UNCHANGED
    if os.geteuid() != 0:
        raise BlockedError(
            "no container engine answers, and only root can install or start one",
            next_step="start Docker, or run the same command as root",
        )
    if shutil.which("dockerd") is None:
        _install()
    if SYSTEMD.is_dir():
        LocalRunner().check(Command(("systemctl", "enable", "--now", "docker")))
    else:
        _start_directly()
    _wait_until_running()
    return Outcome.CHANGED


def starts_with_machine(runner: Runner | None = None) -> bool:
    """Return whether systemd starts the engine with the machine, and so each container that was not stopped by hand.

    The socket alone is not enough: it starts the engine when somebody asks it for something.
    """
    asked = Command(("systemctl", "is-enabled", "--quiet", "docker.service"), timeout_seconds=10)
    return SYSTEMD.is_dir() and (runner or LocalRunner()).run(asked).status == 0


def _install() -> None:
    if shutil.which("apt-get") is None:
        raise BlockedError("Docker is not installed", next_step="install it from your distribution, then repeat")
    install_packages(["docker.io", "iptables", "ca-certificates"])


def _start_directly() -> None:
    """Start the daemon where no systemd is PID 1; it outlives this process."""
    # A daemon that was killed leaves its pid file, and a new one refuses to start while some process has that number.
    for stale in (Path("/var/run/docker.pid"), Path("/var/run/docker/containerd/containerd.pid")):
        if stale.is_file() and not _is_program(stale.read_text().strip(), ("dockerd", "containerd")):
            stale.unlink()
    with DAEMON_LOG.open("ab") as log:
        subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/")


def _is_program(pid: str, names: tuple[str, ...]) -> bool:
    try:
        return Path(f"/proc/{int(pid)}/comm").read_text().strip() in names
    except (OSError, ValueError):
        return False


def _wait_until_running() -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not is_running():
        if time.monotonic() > deadline:
            tail = DAEMON_LOG.read_text().splitlines()[-5:] if DAEMON_LOG.exists() else []
            raise KubelabError(
                "Docker did not start within 60 s\n" + "\n".join(tail),
                next_step=f"read {DAEMON_LOG} or journalctl -u docker",
            )
        time.sleep(0.3)
