"""Acting on real files: journal first, converge after a death at any point, never overwrite without a backup."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from kubelab_helpers.errors import BlockedError, ExitStatus, KubelabError, PartlyDoneError
from kubelab_helpers.hosts import executor, journal
from kubelab_helpers.hosts.change import Action, Change, Correction, backup_path
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.file import File, Program
from kubelab_helpers.hosts.plan import PlannedChange, Step
from kubelab_helpers.hosts.state import FileState, HostState
from kubelab_helpers.result import SilentReporter

from .support import DyingRunner, FolderRunner, Killed, Refusing, ids, node_spec

OWNER = f"{os.geteuid()}:{os.getegid()}"
SECRET = "abcdef.0123456789abcdef"
CHANGES = 5
"""Two files with the directories above them, and an action."""
COMMANDS = 16
"""What converging on `steps` takes: two reads, five intents, six operations, the last end, two reads to verify."""
WRITING = (2, 4, 5, 6, 8, 9, 10, 11, 12, 13)
"""Those of them that write something from their input, which may be cut off in the middle."""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return the folder that stands for the host's file system."""
    folder = tmp_path / "host"
    folder.mkdir()
    return folder


@pytest.fixture
def steps(tmp_path: Path, host: Path) -> tuple[Step, ...]:
    """Return steps with files, a program and an action whose commands append what they did."""
    part = tmp_path / "part"
    part.write_bytes(b"#!/bin/sh\nexit 0\n")
    sha256 = "306c6ca7407560340797866e077e053627ad409277d1b9da58106fce4cf717cb"
    log = Command(("sh", "-c", f"cat > {host}/log"), stdin=b"made\n", secrets=(SECRET,))

    def desire_files(*_: object) -> list[Change]:
        return [
            File(f"{host}/etc/one", b"one\n", mode=0o600, owner=OWNER),
            Program(f"{host}/bin/a tool", part, sha256),
        ]

    def desire_action(*_: object) -> list[Change]:
        return [Action("made", "make it", "v1", (log,), guards=(f"{host}/log",))]

    return (Step("files", desire_files), Step("action", desire_action))


def converge(runner: object, steps: tuple[Step, ...]) -> int:
    return executor.converge(runner, steps, node_spec(), SilentReporter(), "task")  # type: ignore[arg-type]  # a Runner


def read_journal(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def assert_as_wanted(host: Path) -> None:
    assert (host / "etc/one").read_text() == "one\n"
    assert stat.S_IMODE((host / "etc/one").stat().st_mode) == 0o600
    assert os.access(host / "bin/a tool", os.X_OK)
    assert [path.name for path in host.rglob("*") if "partial" in path.name] == []


def test_apply_then_plan_is_empty(state_folder: Path, host: Path, steps: tuple[Step, ...]) -> None:
    runner = FolderRunner(state_folder)
    assert converge(runner, steps) == CHANGES
    assert_as_wanted(host)
    plan, _ = executor.read_plan(runner, steps, node_spec())
    assert plan.changes == ()
    assert converge(runner, steps) == 0
    assert (host / "log").read_text() == "made\n"


def test_a_plan_writes_nothing(state_folder: Path, host: Path, steps: tuple[Step, ...]) -> None:
    plan, _ = executor.read_plan(FolderRunner(state_folder), steps, node_spec())
    assert len(plan.changes) == CHANGES
    assert list(host.iterdir()) == []
    assert [path.name for path in state_folder.rglob("*")] == ["stamps"]


def test_the_journal_says_what_was_done(state_folder: Path, host: Path, steps: tuple[Step, ...]) -> None:
    converge(FolderRunner(state_folder), steps)
    entries = read_journal(state_folder)
    files = [f"directory:{host}/etc", f"file:{host}/etc/one", f"directory:{host}/bin", f"program:{host}/bin/a tool"]
    assert [(entry["event"], entry.get("change")) for entry in entries] == [
        ("run", None),
        *((event, change) for change in (*files, "action:made") for event in ("intent", "done")),
    ]
    assert len({entry["run"] for entry in entries if "run" in entry}) == 1
    assert stat.S_IMODE((state_folder / "journal.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("lives", "torn"), [*((number, False) for number in range(COMMANDS)), *((number, True) for number in WRITING)]
)
def test_it_converges_after_a_death_at_any_command(
    lives: int, torn: bool, state_folder: Path, host: Path, steps: tuple[Step, ...]
) -> None:
    """Kill it before command number N, or when half of what N was to write has been sent, for every N."""
    runner = FolderRunner(state_folder)
    with pytest.raises(Killed):
        converge(DyingRunner(runner, lives, torn), steps)
    converge(runner, steps)
    assert_as_wanted(host)
    plan, state = executor.read_plan(runner, steps, node_spec())
    assert (plan.changes, state.unfinished) == ((), frozenset())
    assert (host / "log").read_text() == "made\n"


@pytest.mark.parametrize("asked", [0, 1, 2])
def test_it_stops_between_two_changes_when_asked(
    asked: int, state_folder: Path, host: Path, steps: tuple[Step, ...]
) -> None:
    """Ctrl-C on one host lets the others end the change they are at; what is done is recorded as done."""
    runner = FolderRunner(state_folder)
    answers = iter([False] * asked + [True] * 9)
    with pytest.raises(PartlyDoneError, match="stopped early"):
        executor.converge(runner, steps, node_spec(), SilentReporter(), "task", lambda: next(answers))
    state = executor.read_plan(runner, steps, node_spec())[1]
    assert state.unfinished == frozenset()
    assert converge(runner, steps) == CHANGES - asked
    assert_as_wanted(host)


def test_deaths_were_tried_at_every_command(state_folder: Path, steps: tuple[Step, ...]) -> None:
    assert converge(DyingRunner(FolderRunner(state_folder), COMMANDS), steps) == CHANGES


def test_a_change_cut_off_after_its_write_is_made_again(
    state_folder: Path, host: Path, steps: tuple[Step, ...]
) -> None:
    """An intent without an end means that nobody knows: the file looks right and its change is planned all the same."""
    with pytest.raises(Killed):
        converge(DyingRunner(FolderRunner(state_folder), 6), steps)
    assert (host / "etc/one").read_text() == "one\n"
    plan, state = executor.read_plan(FolderRunner(state_folder), steps, node_spec())
    assert state.unfinished == {f"file:{host}/etc/one"}
    assert ids(plan.changes)[0] == f"file:{host}/etc/one"


def test_a_cut_off_journal_line_does_not_swallow_the_next(
    state_folder: Path, host: Path, steps: tuple[Step, ...]
) -> None:
    (state_folder / "journal.jsonl").write_text('{"event": "intent", "chan')
    converge(FolderRunner(state_folder), steps)
    lines = (state_folder / "journal.jsonl").read_text().splitlines()
    assert lines[0] == '{"event": "intent", "chan'
    assert json.loads(lines[1])["event"] == "run"
    assert json.loads(lines[2])["change"] == f"directory:{host}/etc"


def test_what_is_overwritten_is_kept(state_folder: Path, host: Path, steps: tuple[Step, ...]) -> None:
    foreign = host / "etc/one"
    foreign.parent.mkdir()
    foreign.write_text("theirs\n")
    foreign.chmod(0o640)
    converge(FolderRunner(state_folder), steps)
    entry = read_journal(state_folder)[1]
    backup = Path(backup_path(entry["path"], entry["before"]).replace("/var/lib/kubelab", str(state_folder)))
    assert backup.read_text() == "theirs\n"
    assert stat.S_IMODE(backup.stat().st_mode) == 0o640
    assert entry["before"] == hashlib.sha256(b"theirs\n").hexdigest()


def test_a_backup_is_never_overwritten(state_folder: Path, host: Path, steps: tuple[Step, ...]) -> None:
    """A second run after a death between backup and write still has the first content."""
    (host / "etc").mkdir()
    (host / "etc/one").write_text("theirs\n")
    with pytest.raises(Killed):
        converge(DyingRunner(FolderRunner(state_folder), 3), steps)
    converge(FolderRunner(state_folder), steps)
    kept = sorted(path.read_text() for path in (state_folder / "backups").iterdir())
    assert "theirs\n" in kept


def test_it_refuses_what_is_not_ours_and_touches_nothing(
    state_folder: Path, host: Path, steps: tuple[Step, ...]
) -> None:
    (host / "log").write_text("another cluster\n")
    with pytest.raises(BlockedError, match="log is there already and kubelab did not make it") as caught:
        converge(FolderRunner(state_folder), steps)
    assert caught.value.exit_status is ExitStatus.BLOCKED
    assert caught.value.next_step
    assert sorted(path.name for path in host.iterdir()) == ["log"]
    assert not (state_folder / "journal.jsonl").exists()


def test_a_failed_change_says_where_and_can_be_repeated(
    state_folder: Path, host: Path, steps: tuple[Step, ...]
) -> None:
    runner = FolderRunner(state_folder)
    with pytest.raises(PartlyDoneError, match="step action: make it failed") as caught:
        converge(Refusing(runner, f"cat > {host}/log", said=f"token {SECRET} is wrong"), steps)
    assert caught.value.exit_status is ExitStatus.PARTLY_DONE
    assert SECRET not in f"{caught.value.what} {caught.value.repeat} {caught.value.next_step}"
    assert "token *** is wrong" in caught.value.what
    assert SECRET not in (state_folder / "journal.jsonl").read_text()
    assert converge(runner, steps) == 1


def test_what_does_not_hold_is_an_error(state_folder: Path) -> None:
    """Applied, but not so afterwards: it never says that it worked."""
    undone = Step("swap", lambda *_: [Correction("swap", "turn swap off", (Command(("true",)),))])
    with pytest.raises(KubelabError, match="applied, but not so afterwards: correction:swap"):
        converge(FolderRunner(state_folder), (undone,))


def test_the_journal_carries_no_content(state_folder: Path) -> None:
    planned = PlannedChange("files", File("/etc/secret", b"hunter2"))
    intent = journal.intent_line("run", planned, HostState(files={"/etc/secret": FileState("0" * 64, "600", "0:0")}))
    command = journal.append([intent, journal.done_line(intent)])
    assert b"hunter2" not in (command.stdin or b"")
    assert "hunter2" not in str(command)


def test_without_a_journal_nothing_is_done(tmp_path: Path, host: Path, steps: tuple[Step, ...]) -> None:
    """As on a full disk: the error names the journal and what the host said, and shows no script."""
    (tmp_path / "file").write_text("where the journal's directory ought to be")
    with pytest.raises(PartlyDoneError, match=r"the journal .* cannot be written\nmkdir: ") as caught:
        converge(FolderRunner(tmp_path / "file"), steps)
    assert "make room" in caught.value.next_step
    assert list(host.iterdir()) == []
