"""Programs side by side: followed as they go, late ones and all of them ended with what they started."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts import children as module
from kubelab_helpers.hosts.children import Children
from kubelab_helpers.hosts.command import Command, CommandTimeoutError

DEADLINE_SECONDS = 20.0
# A shell with a child of its own, which says the child's number and then waits for it.
WITH_CHILD = "sleep 60 & echo $!; wait"


def ignore(line: str) -> None:
    """Follow nothing."""


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def wait_until_ended(pid: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


def test_lines_come_while_the_program_runs(tmp_path: Path) -> None:
    """It goes on only once the follower has answered its first line."""
    answer = tmp_path / "answer"
    script = f'echo first; while [ ! -e "{answer}" ]; do sleep 0.02; done; echo second >&2; exit 3'
    seen = []

    def follow(line: str) -> None:
        seen.append(line)
        answer.touch()

    done = Children().run(Command(("sh", "-c", script), timeout_seconds=DEADLINE_SECONDS), follow)
    assert seen == ["first", "second"]
    assert (done.status, done.text) == (3, "first\nsecond\n")


def test_secrets_are_blanked_out_of_the_lines() -> None:
    seen: list[str] = []
    Children().run(Command(("echo", "token hunter2"), secrets=("hunter2",)), seen.append)
    assert seen == ["token ***"]


def test_a_deadline_ends_what_the_program_started_too() -> None:
    seen: list[str] = []
    with pytest.raises(CommandTimeoutError, match=r"did not end within 0\.5 s"):
        Children().run(Command(("sh", "-c", WITH_CHILD), timeout_seconds=0.5), seen.append)
    wait_until_ended(int(seen[0]))


def test_one_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(CommandTimeoutError):
        Children().run(Command(("sh", "-c", "trap '' TERM; sleep 60; sleep 60"), timeout_seconds=0.3), ignore)
    assert time.monotonic() - began < DEADLINE_SECONDS


def test_all_are_ended_at_once_and_none_begins_any_more() -> None:
    children, seen = Children(), list[str]()
    command = Command(("sh", "-c", WITH_CHILD), timeout_seconds=60)
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(children.run, command, seen.append) for _ in range(3)]
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(seen) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        children.end()
        for each in running:
            with pytest.raises(KubelabError, match="was ended before its time"):
                each.result(DEADLINE_SECONDS)
    for pid in seen:
        wait_until_ended(int(pid))
    with pytest.raises(KubelabError, match="was ended before its time"):
        children.run(command, ignore)


def test_a_follower_that_fails_leaves_nothing_running() -> None:
    seen: list[str] = []

    def fail(line: str) -> None:
        seen.append(line)
        raise ValueError("no such line")

    with pytest.raises(ValueError, match="no such line"):
        Children().run(Command(("sh", "-c", WITH_CHILD)), fail)
    wait_until_ended(int(seen[0]))


def test_a_missing_program_is_named() -> None:
    with pytest.raises(KubelabError, match="there is no program no-such-program"):
        Children().run(Command(("no-such-program",)), ignore)
