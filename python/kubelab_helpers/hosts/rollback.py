"""Putting a host back: the changes of one run, or of all, newest first, from the host's own journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.hosts import journal
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.executor import record, run_all
from kubelab_helpers.hosts.ledger import Entry, Ledger
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.state import FileState, probe_state
from kubelab_helpers.result import Outcome, Reporter


@dataclass(frozen=True)
class Rollback:
    """What will be put back on one host, newest first. `kept`: files that someone else changed, which stay.

    `resumed`: the run whose putting back was cut off, and goes on.
    """

    host: str
    entries: tuple[Entry, ...]
    kept: tuple[str, ...] = ()
    settle: tuple[Command, ...] = ()
    resumed: str | None = None

    def as_data(self) -> dict[str, Any]:
        """Return the rollback for JSON."""
        return {"host": self.host, "entries": [entry_data(each) for each in self.entries], "kept": list(self.kept)}


def select_entries(ledger: Ledger, run: str | None = None, *, everything: bool = False) -> tuple[Entry, ...]:
    """Return the entries to put back, newest first: of the last run, of the run whose id begins so, or all.

    Without a name a rollback that was cut off goes on: the run before it is not its business, also when nothing but
    its end is left.
    """
    newest_first = tuple(reversed(ledger.entries))
    if everything or not newest_first:
        return newest_first
    known = list(dict.fromkeys(entry.run for entry in ledger.entries))
    if run is None:
        return _of_run(newest_first, ledger.undoing or known[-1])
    found = [each for each in known if each.startswith(run)]
    if len(found) != 1:
        raise InvalidInputError(
            f"{run} names {len(found)} runs of this host", next_step=f"name one of: {', '.join(known) or 'none'}"
        )
    if found[0] != known[-1]:
        later = ", ".join(known[known.index(found[0]) + 1 :])
        raise BlockedError(f"later runs stand on {found[0]}: {later}", next_step="roll those back first")
    return _of_run(newest_first, found[0])


def plan_rollback(
    host: str, entries: Sequence[Entry], files: dict[str, FileState], *, keep_changed: bool = False
) -> Rollback:
    """Return what will be put back. `files`: how the entries' files stand now.

    BlockedError names the files that someone else changed since kubelab wrote them; with `keep_changed` those stay as
    they are, and everything else is put back.
    """
    now: dict[str, str | None] = {path: files[path].sha256 if path in files else None for path in _paths(entries)}
    changed: dict[str, None] = {}
    undone = []
    for entry in entries:
        # What a cut-off write left may be anything.
        if entry.path and entry.ended and now[entry.path] not in (entry.after, entry.before):
            changed[entry.path] = None
        if entry.path in changed:
            continue
        if entry.path:
            now[entry.path] = entry.before
        undone.append(entry)
    if changed and not keep_changed:
        raise BlockedError(
            f"{host}: changed by someone else since kubelab wrote it: {', '.join(changed)}",
            next_step="put it back yourself, or leave it as it is with --keep-changed",
        )
    settle = dict.fromkeys(command for entry in undone for command in entry.settle)
    return Rollback(host, tuple(undone), tuple(changed), tuple(settle))


def read_rollback(
    runner: Runner, host: str, run: str | None = None, *, everything: bool = False, keep_changed: bool = False
) -> Rollback:
    """Read a host's journal and files, and decide what to put back."""
    ledger = probe_state(runner, ()).ledger
    entries = select_entries(ledger, run, everything=everything)
    files = probe_state(runner, [f"file:{path}" for path in _paths(entries)]).files
    decided = plan_rollback(host, entries, files, keep_changed=keep_changed)
    settle = dict.fromkeys((*ledger.unsettled, *decided.settle))
    return Rollback(host, decided.entries, decided.kept, tuple(settle), ledger.undoing)


def apply_rollback(runner: Runner, decided: Rollback, reporter: Reporter, task: str) -> int:
    """Put everything back and return how many changes that were; the same call goes on where one was cut off."""
    reporter.start(task, total=len(decided.entries))
    closing: list[dict[str, Any]] = []
    for count, entry in enumerate(decided.entries):
        reporter.advance(task, count, f"undo: {entry.summary}")
        record(runner, [*closing, journal.undo_line(entry, "undo")])
        run_all(runner, entry.undo, f"{decided.host}: putting back: {entry.summary}")
        closing = [journal.undo_line(entry, "undone")]
    if closing:
        record(runner, closing)
    run_all(runner, decided.settle, f"{decided.host}: the end of the rollback")
    run = decided.entries[-1].run if decided.entries else decided.resumed
    if run or decided.settle:
        record(runner, [journal.settled_line(), *([journal.end_line(run)] if run else [])])
    reporter.finish(task, Outcome.CHANGED if decided.entries else Outcome.UNCHANGED, f"{len(decided.entries)} undone")
    return len(decided.entries)


def entry_data(entry: Entry) -> dict[str, Any]:
    """Return an entry for people and programs."""
    return {"run": entry.run, "step": entry.step, "id": entry.change, "path": entry.path, "summary": entry.summary}


def _of_run(newest_first: Sequence[Entry], run: str) -> tuple[Entry, ...]:
    entries = tuple(entry for entry in newest_first if entry.run == run)
    if found := next((entry for entry in entries if entry.one_way), None):
        raise BlockedError(
            f"the run {run} cannot be put back: {found.summary}",
            next_step="go on with what it began; or `kubelab-host reset`, which takes the host out of its cluster",
        )
    return entries


def _paths(entries: Sequence[Entry]) -> list[str]:
    return sorted({entry.path for entry in entries if entry.path})
