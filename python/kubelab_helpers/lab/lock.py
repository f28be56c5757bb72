"""One `kubelab up` or `down` at a time on one machine, and one operator at a time on a cluster elsewhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import platformdirs

from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.lock import hold_host_lock
from kubelab_helpers.hosts.ssh import SshRunner
from kubelab_helpers.lab.context import Lab


@contextmanager
def hold_lock(cluster: str) -> Iterator[None]:
    """Hold the cluster's lock on this machine; BlockedError names the process that has it.

    The kernel drops the lock with the process, so that a killed one leaves nothing in the way.
    """
    from filelock import FileLock, Timeout

    path = Path(platformdirs.user_cache_dir("kubelab")) / f"{cluster}.lock"
    holder = path.with_suffix(".holder")
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BlockedError(
            f"the cluster {cluster} is being worked on by {_describe(holder)}",
            next_step="wait for it to end, then run the same command again",
        ) from error
    except OSError as error:
        raise BlockedError(
            f"the lock {path} cannot be made: {error.strerror}",
            next_step="set XDG_CACHE_HOME to a folder that you may write to",
        ) from error
    try:
        said = {"pid": os.getpid(), "command": Path(sys.argv[0]).name, "since": datetime.now().astimezone().isoformat()}
        holder.write_text(json.dumps(said))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


@contextmanager
def hold_locks(lab: Lab) -> Iterator[None]:
    """Hold the cluster's lock on this machine, and, over SSH, the one on the first control plane that is reached."""
    with hold_lock(lab.spec.name), ExitStack() as stack:
        runner = _first_reached(lab)
        if runner:
            stack.enter_context(hold_host_lock(runner))
        yield


def _first_reached(lab: Lab) -> SshRunner | None:
    """Return the first control plane that answers over SSH; of those that do not, another stage says why."""
    for host in lab.spec.control_planes:
        runner = lab.runner(host)
        if isinstance(runner, SshRunner):
            try:
                runner.check(Command(("true",), timeout_seconds=30))
            except KubelabError:
                continue
            return runner
    return None


def _describe(holder: Path) -> str:
    try:
        said = json.loads(holder.read_text())
        return f"{said['command']} (process {said['pid']}, since {said['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"
