"""Rollback: what was changed is put back, newest first, and what others changed since is theirs."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubelab_helpers.errors import BlockedError, InvalidInputError, PartlyDoneError
from kubelab_helpers.hosts import executor
from kubelab_helpers.hosts.change import Action, Change, backup_path
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.file import Directory, File, Line, NoFile, Program
from kubelab_helpers.hosts.ledger import Entry, Ledger
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.rollback import apply_rollback, entry_data, plan_rollback, read_rollback, select_entries
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.state import FileState, probe_state
from kubelab_helpers.result import SilentReporter

from .support import DyingRunner, FolderRunner, Killed, node_spec

OWNER = f"{os.geteuid()}:{os.getegid()}"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return a host's file system with a file and a line of others in it, and an empty directory."""
    folder = tmp_path / "host"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/theirs").write_text("theirs\n")
    (folder / "etc/theirs").chmod(0o640)
    (folder / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (folder / "empty").mkdir(mode=0o700)
    return folder


def steps_of(host: Path, content: bytes = b"ours\n") -> tuple[Step, ...]:
    part = host.parent / "part"
    part.write_bytes(b"#!/bin/sh\nexit 0\n")
    sha256 = "306c6ca7407560340797866e077e053627ad409277d1b9da58106fce4cf717cb"

    def desire(*_: object) -> list[Change]:
        made = f"{host}/made"
        return [
            File(f"{host}/etc/theirs", content, mode=0o600, owner=OWNER),
            Line(f"{host}/etc/hosts", "192.0.2.1 lab  # ours"),
            Program(f"{host}/new/bin/tool", part, sha256),
            Directory(f"{host}/empty", mode=0o755, owner=OWNER),
            Action("made", "make it", "v1", (Command(("touch", made)),), undo_commands=(Command(("rm", "-f", made)),)),
        ]

    return (Step("all", desire),)


def snapshot(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Return every path below a folder with its mode and content."""
    return {
        str(path.relative_to(folder)): (
            oct(stat.S_IMODE(path.stat().st_mode)),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def converge(runner: Runner, steps: tuple[Step, ...]) -> int:
    return executor.converge(runner, steps, node_spec(), SilentReporter(), "init")


def owned(runner: Runner) -> list[dict[str, Any]]:
    return [entry_data(each) for each in probe_state(runner, ()).ledger.entries]


def end(runner: Runner) -> None:
    executor.end_run(runner, probe_state(runner, ()))


def roll_back(runner: Runner, *, everything: bool = False, keep_changed: bool = False) -> int:
    decided = read_rollback(runner, "worker-1", everything=everything, keep_changed=keep_changed)
    return apply_rollback(runner, decided, SilentReporter(), "rollback")


def test_everything_is_as_it_was(state_folder: Path, host: Path) -> None:
    runner, before = FolderRunner(state_folder), snapshot(host)
    made = converge(runner, steps_of(host))
    assert snapshot(host) != before
    assert len(owned(runner)) == made
    assert roll_back(runner) == made
    assert snapshot(host) == before
    assert owned(runner) == []
    assert not (state_folder / "stamps/made").exists()


def test_the_last_run_alone(state_folder: Path, host: Path) -> None:
    runner = FolderRunner(state_folder)
    converge(runner, steps_of(host))
    end(runner)
    first = snapshot(host)
    assert converge(runner, steps_of(host, b"newer\n")) == 1
    end(runner)
    assert roll_back(runner) == 1
    assert snapshot(host) == first
    assert converge(runner, steps_of(host)) == 0


def test_all_runs(state_folder: Path, host: Path) -> None:
    runner, before = FolderRunner(state_folder), snapshot(host)
    for content in (b"one\n", b"two\n", b"three\n"):
        converge(runner, steps_of(host, content))
        end(runner)
    roll_back(runner, everything=True)
    assert snapshot(host) == before
    assert roll_back(runner, everything=True) == 0


def test_a_run_that_was_cut_off_is_one_with_what_ends_it(state_folder: Path, host: Path) -> None:
    runner, before = FolderRunner(state_folder), snapshot(host)
    with pytest.raises(Killed):
        converge(DyingRunner(runner, 7), steps_of(host))
    converge(runner, steps_of(host))
    roll_back(runner)
    assert snapshot(host) == before


@pytest.mark.parametrize("lives", range(19))
def test_it_ends_after_a_death_at_any_command(lives: int, state_folder: Path, host: Path) -> None:
    """Kill the rollback before its command number N: the same rollback then comes to its end."""
    runner, before = FolderRunner(state_folder), snapshot(host)
    converge(runner, steps_of(host))
    with pytest.raises(Killed):
        roll_back(DyingRunner(runner, lives))
    roll_back(runner)
    assert snapshot(host) == before
    state = probe_state(runner, ())
    assert (state.unfinished, state.ledger.entries) == (frozenset(), ())


def test_half_a_file_that_a_power_cut_left_goes_too(state_folder: Path, host: Path) -> None:
    """It stands beside the file that was not there before, and beside the one that was replaced."""
    runner, before = FolderRunner(state_folder), snapshot(host)
    converge(runner, steps_of(host))
    for path in ("etc/.theirs.kubelab-partial", "new/bin/.tool.kubelab-partial"):
        (host / path).write_text("half")
    roll_back(runner)
    assert snapshot(host) == before


def test_half_a_copy_is_not_taken_for_the_file(state_folder: Path, host: Path) -> None:
    """A copy that was cut off is made again: what a rollback puts back is the whole file."""
    (state_folder / "backups").mkdir(parents=True)
    state = probe_state(FolderRunner(state_folder), [f"file:{host}/etc/theirs"])
    copy = Path(backup_path(f"{host}/etc/theirs", state.files[f"{host}/etc/theirs"].sha256)).name
    (state_folder / "backups" / f"{copy}.partial").write_text("the")
    runner, before = FolderRunner(state_folder), snapshot(host)
    converge(runner, steps_of(host))
    roll_back(runner)
    assert snapshot(host) == before


@pytest.mark.parametrize("lives", range(2, 20))
def test_a_death_in_the_making_is_rolled_back(lives: int, state_folder: Path, host: Path) -> None:
    runner, before = FolderRunner(state_folder), snapshot(host)
    with pytest.raises(Killed):
        converge(DyingRunner(runner, lives), steps_of(host))
    roll_back(runner)
    assert snapshot(host) == before


def test_a_file_that_someone_else_changed_is_named_and_left(state_folder: Path, host: Path) -> None:
    runner = FolderRunner(state_folder)
    converge(runner, steps_of(host))
    (host / "etc/theirs").write_text("mine now\n")
    after = snapshot(host)
    with pytest.raises(BlockedError, match=f"changed by someone else since kubelab wrote it: {host}/etc/theirs"):
        roll_back(runner)
    assert snapshot(host) == after
    roll_back(runner, keep_changed=True)
    assert (host / "etc/theirs").read_text() == "mine now\n"
    assert not (host / "new").exists()
    assert [each["path"] for each in owned(runner)] == [f"{host}/etc/theirs"]


def test_a_plan_does_not_overwrite_it_either(state_folder: Path, host: Path) -> None:
    runner = FolderRunner(state_folder)
    converge(runner, steps_of(host))
    (host / "etc/theirs").write_text("mine now\n")
    with pytest.raises(BlockedError, match="theirs was changed by someone else after kubelab wrote it"):
        converge(runner, steps_of(host))
    assert (host / "etc/theirs").read_text() == "mine now\n"


def test_what_others_put_beside_ours_stays(state_folder: Path, host: Path) -> None:
    runner = FolderRunner(state_folder)
    converge(runner, steps_of(host))
    (host / "new/bin/other").write_text("not kubelab's\n")
    with (host / "etc/hosts").open("a") as hosts:
        hosts.write("192.0.2.9 printer\n")
    roll_back(runner)
    assert (host / "new/bin/other").read_text() == "not kubelab's\n"
    assert not (host / "new/bin/tool").exists()
    assert (host / "etc/hosts").read_text() == "127.0.0.1 localhost\n192.0.2.9 printer\n"


def test_a_failed_command_says_where_and_can_be_repeated(state_folder: Path, host: Path) -> None:
    runner = FolderRunner(state_folder)
    converge(runner, steps_of(host))
    backups = state_folder / "backups"
    backups.rename(state_folder / "elsewhere")
    with pytest.raises(PartlyDoneError, match=r"putting back: write .*theirs .* failed"):
        roll_back(runner)
    (state_folder / "backups").rmdir()
    (state_folder / "elsewhere").rename(backups)
    roll_back(runner)
    assert (host / "etc/theirs").read_text() == "theirs\n"


def entry(run: str, path: str | None = None, before: str | None = None, after: str | None = None) -> Entry:
    return Entry(f"{run}-{path}", run, f"file:{path}", "step", "write", path, before, after, ended=True)


RUNS = Ledger((entry("20260101-a"), entry("20260102-b"), entry("20260102-c")))


def test_which_run() -> None:
    assert [each.run for each in select_entries(RUNS)] == ["20260102-c"]
    assert [each.run for each in select_entries(RUNS, "20260102-c")] == ["20260102-c"]
    assert [each.run for each in select_entries(RUNS, everything=True)] == ["20260102-c", "20260102-b", "20260101-a"]
    assert select_entries(Ledger()) == ()


@pytest.mark.parametrize(("run", "said"), [("20260102", "names 2 runs"), ("x", "names 0 runs")])
def test_a_run_that_cannot_be_told(run: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        select_entries(RUNS, run)


def test_a_rollback_that_was_cut_off_is_the_one_that_goes_on() -> None:
    """Also when only its end is missing: the run before it stays."""
    assert [each.run for each in select_entries(replace(RUNS, undoing="20260102-c"))] == ["20260102-c"]
    earlier = Ledger(RUNS.entries[:2], undoing="20260102-c")
    assert select_entries(earlier) == ()
    assert [each.run for each in select_entries(earlier, "20260102-b")] == ["20260102-b"]
    assert len(select_entries(earlier, everything=True)) == 2


@pytest.mark.parametrize("lives", range(6))
def test_a_death_before_a_rollbacks_end_does_not_cost_the_run_before(
    lives: int, state_folder: Path, host: Path
) -> None:
    """Killed before any command of the second run's rollback: the same command ends that, and the first run stands."""
    runner = FolderRunner(state_folder)
    converge(runner, steps_of(host))
    end(runner)
    first, first_run = snapshot(host), owned(runner)
    converge(runner, steps_of(host, b"newer\n"))
    end(runner)
    with pytest.raises(Killed):
        roll_back(DyingRunner(runner, lives))
    roll_back(runner)
    assert (snapshot(host), owned(runner)) == (first, first_run)
    ledger = probe_state(runner, ()).ledger
    assert (ledger.undoing, ledger.open_run) == (None, None)


def test_a_run_under_others_is_refused() -> None:
    with pytest.raises(BlockedError, match="later runs stand on 20260101-a: 20260102-b, 20260102-c"):
        select_entries(RUNS, "20260101")


def test_a_change_between_two_runs_is_seen() -> None:
    """Run 1 wrote A, someone made it B, run 2 replaced that: B comes back, and run 1 has nothing to say to it."""
    entries = (entry("2", "/etc/x", before="B", after="C"), entry("1", "/etc/x", before=None, after="A"))
    files = {"/etc/x": FileState("C", "644", "0:0")}
    decided = plan_rollback("host", entries, files, keep_changed=True)
    assert decided.kept == ("/etc/x",)
    assert decided.entries == entries[:1]


def test_a_run_with_a_one_way_change_is_only_passed_by_a_reset() -> None:
    """As an upgrade of Kubernetes; a later run is put back as ever."""
    entries = (
        Entry("1", "a", "file:/x", "s", "write /x"),
        Entry("2", "a", "action:kubeadm-upgrade", "s", "kubeadm upgrade node", one_way=True),
    )
    for run in (None, "a"):
        with pytest.raises(BlockedError, match="cannot be put back: kubeadm upgrade node"):
            select_entries(Ledger(entries), run)
    assert [each.id for each in select_entries(Ledger(entries), everything=True)] == ["2", "1"]
    later = Entry("3", "b", "file:/y", "s", "write /y")
    assert select_entries(Ledger((*entries, later))) == (later,)


def test_one_way_stands_in_the_journal(tmp_path: Path, host: Path) -> None:
    way = Action("up", "upgrade", "2", (Command(("true",)),), one_way=True)
    runner = FolderRunner(tmp_path / "host")
    executor.converge(runner, (Step("all", lambda *_: [way]),), node_spec(), SilentReporter(), "upgrade")
    assert [entry.one_way for entry in probe_state(runner, ()).ledger.entries] == [True]


def test_a_file_set_aside_comes_back_as_it_was(host: Path, tmp_path: Path) -> None:
    runner = FolderRunner(host)
    before = snapshot(host)
    aside = NoFile(f"{host}/etc/theirs")
    assert executor.converge(runner, (Step("all", lambda *_: [aside]),), node_spec(), SilentReporter(), "aside") == 1
    assert not (host / "etc/theirs").exists()
    apply_rollback(runner, read_rollback(runner, "host"), SilentReporter(), "rollback")
    assert {path: found for path, found in snapshot(host).items() if path in before} == before
