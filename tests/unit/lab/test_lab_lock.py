"""Two at once: the second one says who holds the lock, and a dead holder leaves nothing in the way."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelab_helpers.cluster.health import write_private
from kubelab_helpers.errors import BlockedError, ExitStatus
from kubelab_helpers.lab.lock import hold_lock

HOLD = """
import sys
from kubelab_helpers.lab.lock import hold_lock
with hold_lock("physics"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the locks of the tests apart from the machine's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """Return another process that holds the lock."""
    argv = [sys.executable, "-c", HOLD]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_names_the_first(holder: subprocess.Popen[str]) -> None:
    with (
        pytest.raises(BlockedError, match=rf"physics is being worked on by .*\(process {holder.pid}, since ") as caught,
        hold_lock("physics"),
    ):
        pytest.fail("two at once")
    assert caught.value.exit_status is ExitStatus.BLOCKED
    assert caught.value.next_step


def test_another_cluster_is_not_locked(holder: subprocess.Popen[str]) -> None:
    with hold_lock("chemistry"):
        assert holder.poll() is None


def test_a_killed_holder_leaves_nothing_in_the_way(holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(timeout=10)
    with hold_lock("physics"):
        pass


def test_the_lock_can_be_held_again() -> None:
    for _ in range(2):
        with hold_lock("physics"):
            pass


def test_a_private_file_is_private_from_the_start(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "admin-password"
    write_private(target, "first\n")
    write_private(target, "second\n")
    assert target.read_text() == "second\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [each.name for each in target.parent.iterdir()] == ["admin-password"]


def test_a_cache_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cannot = pytest.raises(BlockedError, match=r"the lock .*physics\.lock cannot be made: Not a directory")
    with cannot as caught, hold_lock("physics"):
        pytest.fail("held without a file")
    assert "XDG_CACHE_HOME" in caught.value.next_step
