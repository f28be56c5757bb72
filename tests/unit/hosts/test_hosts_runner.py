"""Commands as data, and what becomes of them: output, status, deadline, secrets."""

from __future__ import annotations

import dataclasses
import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from kubelab_helpers.errors import ExitStatus, KubelabError
from kubelab_helpers.hosts import runner as runners
from kubelab_helpers.hosts.command import Command, CommandError, CommandTimeoutError, upload, write_file
from kubelab_helpers.hosts.runner import ContainerRunner, LocalRunner, RememberingRunner

TOKEN = "abcdef.0123456789abcdef"


def test_output_status_and_input() -> None:
    done = LocalRunner().run(Command(("sh", "-c", "cat; echo err >&2; exit 3"), stdin=b"in"))
    assert (done.status, done.stdout, done.error_text) == (3, b"in", "err\n")


def test_a_preview_asks_each_question_once(tmp_path: Path) -> None:
    """Another input is another question; a failure is remembered as well."""
    remembering = RememberingRunner(LocalRunner())
    count = Command(("sh", "-c", f"cat >> {tmp_path}/asked; wc -c < {tmp_path}/asked; exit 1"), stdin=b"1")
    assert [remembering.run(count).text for _ in range(3)] == ["1\n"] * 3
    assert remembering.run(dataclasses.replace(count, stdin=b"22")).text == "3\n"
    with pytest.raises(CommandError):
        remembering.check(count)
    assert remembering.name == "localhost"


def test_a_command_without_input_reads_none() -> None:
    """Never the terminal's: a program that asks a question gets an end of file, not a hanging prompt."""
    assert LocalRunner().check(Command(("cat",), timeout_seconds=5)).text == ""


def test_environment_and_folder(tmp_path: Path) -> None:
    command = Command(("sh", "-c", 'printf "%s %s" "$A" "$(pwd)"'), env=(("A", "b c"),), cwd=str(tmp_path))
    assert LocalRunner().check(command).text == f"b c {tmp_path}"


def test_a_failure_shows_the_command_and_its_last_words() -> None:
    with pytest.raises(CommandError) as caught:
        LocalRunner("host-1").check(Command(("sh", "-c", "seq 1 30 >&2; exit 4")))
    assert "on host-1, `sh -c 'seq 1 30 >&2; exit 4'` ended with status 4" in caught.value.what
    assert caught.value.what.splitlines()[1:] == [str(number) for number in range(16, 31)]
    assert caught.value.repeat == "sh -c 'seq 1 30 >&2; exit 4'"
    assert caught.value.exit_status is ExitStatus.FAILED


@pytest.mark.parametrize("script", [f"echo {TOKEN} >&2; exit 1", f"echo bad token {TOKEN}; exit 1"])
def test_secrets_are_blanked_out_of_errors(script: str) -> None:
    """Out of its output, and even out of an argv that should never have had one."""
    with pytest.raises(CommandError) as caught:
        LocalRunner().check(Command(("sh", "-c", script), secrets=(TOKEN, "")))
    assert TOKEN not in f"{caught.value} {caught.value.what} {caught.value.repeat} {caught.value.completed.error_text}"
    assert "***" in caught.value.what


def test_secrets_and_input_are_not_in_a_commands_text() -> None:
    command = Command(("kubeadm", "join"), stdin=f"token: {TOKEN}".encode(), secrets=(TOKEN,))
    assert TOKEN not in f"{command} {command!r}"


def test_a_deadline_ends_a_command() -> None:
    with pytest.raises(CommandTimeoutError, match=r"`sleep 60` did not end within 0\.1 s"):
        LocalRunner().run(Command(("sleep", "60"), timeout_seconds=0.1))


def test_a_missing_program_is_named() -> None:
    with pytest.raises(KubelabError, match="there is no program no-such-program"):
        LocalRunner().run(Command(("no-such-program",)))


def test_files_are_written_whole_with_mode_and_owner(tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "it's"
    LocalRunner().check(write_file(str(target), b"\0binary\n", 0o640, f"{os.geteuid()}:{os.getegid()}"))
    assert target.read_bytes() == b"\0binary\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert [each.name for each in target.parent.iterdir()] == ["it's"]


def test_half_a_file_takes_no_place(tmp_path: Path) -> None:
    """Over a connection that breaks the input ends early, as if it were whole."""
    target = tmp_path / "file"
    target.write_text("as it was")
    whole = write_file(str(target), b"0123456789", 0o640, f"{os.geteuid()}:{os.getegid()}")
    with pytest.raises(CommandError, match="the input ended early"):
        LocalRunner().check(dataclasses.replace(whole, stdin=b"01234"))
    assert target.read_text() == "as it was"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_half_a_file_is_nobodys_to_read(tmp_path: Path) -> None:
    """What is written can be a secret, and one that a crash left there with wider rights has no say."""
    target, partial = tmp_path / "file", tmp_path / ".file.kubelab-partial"
    partial.write_text("of before")
    partial.chmod(0o644)
    command = write_file(str(target), b"0123456789", 0o640, f"{os.geteuid()}:{os.getegid()}")
    with subprocess.Popen(command.argv, stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(b"01234")
        process.stdin.flush()
        deadline = time.monotonic() + 10
        while not partial.exists() or partial.read_bytes() != b"01234":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert stat.S_IMODE(partial.stat().st_mode) == 0o600
        process.stdin.write(b"56789")
    assert process.returncode == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="what is uploaded belongs to root")
def test_a_local_file_is_uploaded(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 100_000)
    LocalRunner().check(upload(source, str(target), 0o755))
    assert target.read_bytes() == source.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_a_container_node_is_reached_through_its_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for `docker` shows the call; e2e runs the real one."""
    stand_in = tmp_path / "docker"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\ncat\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    command = Command(("cat", "a b"), stdin=b"input", env=(("A", "1"),), cwd="/srv")
    done = ContainerRunner("kubelab-worker-1").check(command)
    flags = ["exec", "--interactive", "--env=A=1", "--workdir=/srv"]
    assert done.text.splitlines() == [*flags, "kubelab-worker-1", "cat", "a b", "input"]
    assert done.command is command


def test_a_failure_in_a_container_node_shows_the_inner_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = tmp_path / "docker"
    stand_in.write_text("#!/bin/sh\nexit 7\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(CommandError, match="on node-1, `kubeadm init` ended with status 7"):
        ContainerRunner("node-1").check(Command(("kubeadm", "init")))


def test_no_runner_goes_through_a_shell() -> None:
    assert "shell=True" not in Path(runners.__file__).read_text()
