"""One `kubelab up` or `down` at a time on one machine: a lock that says who holds it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import platformdirs

from kubelab_helpers.errors import BlockedError


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


def _describe(holder: Path) -> str:
    try:
        said = json.loads(holder.read_text())
        return f"{said['command']} (process {said['pid']}, since {said['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"
