"""What kubelab put on a host, read from its journal: the journal is the ownership ledger too.

Events of a line: `run` (a command began to change the host), `intent` (a change is about to be made), `done`, `undo`
(it is about to be put back), `undone`, `settled` (a rollback has ended), `end` (the run has ended).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kubelab_helpers.hosts.command import Command


@dataclass(frozen=True)
class Entry:
    """One change that was made, or begun, and has not been put back. `before` and `after` are SHA-256 of `path`."""

    id: str
    run: str
    change: str
    step: str
    summary: str
    path: str | None = None
    before: str | None = None
    after: str | None = None
    undo: tuple[Command, ...] = ()
    settle: tuple[Command, ...] = ()
    ended: bool = False
    one_way: bool = False


@dataclass(frozen=True)
class Ledger:
    """What a journal says: entries oldest first, the run that has not ended, and what a cut-off rollback still owes."""

    entries: tuple[Entry, ...] = ()
    unfinished: frozenset[str] = frozenset()
    open_run: str | None = None
    unsettled: tuple[Command, ...] = ()
    runs: tuple[tuple[str, str, str], ...] = ()
    """Each run's id, time and command, oldest first."""
    undoing: str | None = None
    """The run whose putting back was begun last and has not ended."""


def read_ledger(lines: Iterable[str]) -> Ledger:
    """Return what a journal's lines say. A line cut off by a crash is passed over."""
    entries: dict[str, Entry] = {}
    last: dict[str, str] = {}
    unsettled: list[Command] = []
    runs: list[tuple[str, str, str]] = []
    open_run: str | None = None
    undoing: str | None = None
    for line in lines:
        event = _parse(line)
        match event:
            case {"event": "run", "run": run, "time": time, "command": command}:
                open_run, undoing = run, None
                runs.append((run, time, command))
            case {"event": "end"}:
                open_run = None
            case {"event": "intent", "change": change}:
                last[change], undoing = "intent", None
                if "entry" in event:
                    entries[event["entry"]] = _entry(event)
            case {"event": "done" | "undo" | "undone" as what, "change": change}:
                last[change] = what
                if what == "undo" and event.get("entry") in entries:
                    undoing = entries[event["entry"]].run
                _end(what, event.get("entry", ""), entries, unsettled)
            case {"event": "settled"}:
                unsettled, undoing = [], None
    unfinished = frozenset(change for change, event in last.items() if event in {"intent", "undo"})
    return Ledger(tuple(entries.values()), unfinished, open_run, tuple(dict.fromkeys(unsettled)), tuple(runs), undoing)


def written_files(entries: Sequence[Entry]) -> dict[str, str]:
    """Return, by path, the hash of what was last written there; not of files whose writing was cut off."""
    last = {entry.path: entry for entry in entries if entry.path}
    return {path: entry.after for path, entry in last.items() if entry.after and entry.ended}


def command_data(command: Command) -> dict[str, Any]:
    """Return a command for the journal; it carries no secrets, so that its input is text."""
    data: dict[str, Any] = {"argv": list(command.argv)}
    if command.stdin is not None:
        data["stdin"] = command.stdin.decode()
    if command.env:
        data["env"] = dict(command.env)
    if command.timeout_seconds != Command(()).timeout_seconds:
        data["timeout_seconds"] = command.timeout_seconds
    return data


def _command(data: dict[str, Any]) -> Command:
    return Command(
        tuple(data["argv"]),
        data["stdin"].encode() if "stdin" in data else None,
        env=tuple(data.get("env", {}).items()),
        timeout_seconds=data.get("timeout_seconds", Command(()).timeout_seconds),
    )


def _end(what: str, name: str, entries: dict[str, Entry], unsettled: list[Command]) -> None:
    if what == "done" and name in entries:
        entries[name] = replace(entries[name], ended=True)
    elif what == "undone" and name in entries:
        unsettled += entries.pop(name).settle


def _entry(event: dict[str, Any]) -> Entry:
    return Entry(
        id=event["entry"],
        run=event["run"],
        change=event["change"],
        step=event["step"],
        summary=event["summary"],
        path=event["path"],
        before=event["before"],
        after=event["after"],
        one_way=event.get("one_way", False),
        undo=tuple(_command(each) for each in event["undo"]),
        settle=tuple(_command(each) for each in event["settle"]),
    )


def _parse(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
