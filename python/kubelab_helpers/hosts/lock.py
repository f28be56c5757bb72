"""One operator at a time on a cluster: a lock on a host, held by a process there that ends with its connection."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.ssh import SshRunner

LOCK = "/run/kubelab-cluster.lock"
BEAT_SECONDS = 15.0
SILENCE_SECONDS = 60
"""A holder that says nothing for so long has lost its network, or its machine."""

# The kernel drops the lock with the process; a killed operator's end of the pipe closes, and a vanished one is silent.
_HOLD = """set -eu
umask 077
exec 9<>"$1"
flock --nonblock 9 || { printf 'taken by '; cat "$1"; exit 0; }
printf '%s\\n' "$2" > "$1"
echo held
while [ -n "$(timeout "$3" head -c 1 9<&-)" ]; do :; done
: > "$1"
"""


@contextmanager
def hold_host_lock(runner: SshRunner) -> Iterator[None]:
    """Hold the cluster's lock on a host; BlockedError names who has it."""
    since = f"{datetime.now().astimezone():%Y-%m-%d %H:%M %z}"
    holder = f"{getpass.getuser()} on {socket.gethostname()} (process {os.getpid()}, since {since})"
    command = runner.wrap(Command(("sh", "-c", _HOLD, "hold-lock", LOCK, holder, str(SILENCE_SECONDS))))
    with subprocess.Popen(
        command.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        _require_held(process, runner.name)
        ended = threading.Event()
        beat = threading.Thread(target=_beat, args=(process, ended), daemon=True)
        beat.start()
        try:
            yield
        finally:
            ended.set()
            beat.join()


def _require_held(process: subprocess.Popen[bytes], name: str) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    said = process.stdout.readline().decode(errors="replace").strip()
    if said == "held":
        return
    if said.startswith("taken by"):
        raise BlockedError(
            f"the cluster is being worked on ({name}: {said})",
            next_step="wait for it to end, then run the same command again",
        )
    error = process.stderr.read().decode(errors="replace").strip()
    raise KubelabError(f"{name}: the cluster's lock cannot be taken: {error or said}")


def _beat(process: subprocess.Popen[bytes], ended: threading.Event) -> None:
    assert process.stdin is not None
    try:
        while not ended.wait(BEAT_SECONDS):
            process.stdin.write(b".")
            process.stdin.flush()
        process.stdin.close()
    except BrokenPipeError:
        # The connection broke: the commands that run over it fail, or are sent again, on their own.
        return
