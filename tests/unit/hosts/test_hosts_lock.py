"""The cluster's lock on a host: one holder, who is named; a killed one and a silent one leave it free."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts import lock
from kubelab_helpers.hosts.command import Command

HOLD = """
import sys
from tests.unit.hosts.test_hosts_lock import Here
from kubelab_helpers.hosts import lock
lock.LOCK = sys.argv[1]
with lock.hold_host_lock(Here()):
    print("held", flush=True)
    sys.stdin.read()
"""


class Here:
    """Stands in for a runner over SSH: its commands run on this machine."""

    name = "host"

    def wrap(self, command: Command) -> Command:
        """See SshRunner.wrap."""
        return command


@pytest.fixture(autouse=True)
def lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the lock in a folder of the test."""
    monkeypatch.setattr(lock, "LOCK", str(tmp_path / "lock"))
    return tmp_path / "lock"


@pytest.fixture
def holder(lock_file: Path) -> Iterator[subprocess.Popen[str]]:
    """Return another process that holds the lock."""
    argv = [sys.executable, "-c", HOLD, str(lock_file)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def hold() -> Any:
    here: Any = Here()
    return lock.hold_host_lock(here)


def test_the_second_operator_is_told_who_the_first_is(holder: subprocess.Popen[str]) -> None:
    with (
        pytest.raises(BlockedError, match=rf"being worked on \(host: taken by .* \(process {holder.pid}, since "),
        hold(),
    ):
        pytest.fail("two at once")


def test_a_killed_holder_leaves_it_free(holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(timeout=10)
    take_within(10)


def test_it_can_be_held_again() -> None:
    for _ in range(2):
        with hold():
            pass


def test_a_holder_that_says_nothing_loses_it(monkeypatch: pytest.MonkeyPatch, lock_file: Path) -> None:
    """Its machine or its network is gone: no connection has been closed, and no heart beats."""
    monkeypatch.setattr(lock, "SILENCE_SECONDS", 1)
    with hold():
        take_within(10)


def test_a_holder_that_beats_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SILENCE_SECONDS", 1)
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.1)
    with hold(), pytest.raises(AssertionError):
        take_within(1.6)


def test_a_host_that_cannot_lock_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lock, "LOCK", str(tmp_path / "absent" / "lock"))
    with pytest.raises(KubelabError, match="host: the cluster's lock cannot be taken: "), hold():
        pytest.fail("held without a file")


def take_within(seconds: float) -> None:
    from tests.hosts.waiting import wait_until

    wait_until(is_free, seconds, "the lock is free")


def is_free() -> bool:
    try:
        with hold():
            return True
    except BlockedError:
        return False
