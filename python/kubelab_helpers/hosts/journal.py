"""The journal on the host: what is about to be changed and what has been, each line on disk before the next act.

`/var/lib/kubelab/journal.jsonl`, mode 0600; `hosts.ledger` reads it and says what its lines mean. An intent carries the
hash of what it replaces, the name of its backup and the commands that put it back.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from kubelab_helpers.hosts.change import BACKUPS, DIRECTORY, backup_path
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.ledger import Entry, command_data
from kubelab_helpers.hosts.plan import PlannedChange
from kubelab_helpers.hosts.state import HostState

JOURNAL = f"{DIRECTORY}/journal.jsonl"

# coreutils before 8.24 (CentOS 7) has no `sync FILE`; plain sync is slower and as safe.
_APPEND = """set -eu
umask 077
mkdir -p "$(dirname "$1")" "$2"
# A copy that was cut off, by a full disk or a crash, must not be taken for the file as it was.
if [ -n "$3" ] && [ -f "$3" ] && [ ! -e "$2/$4" ]; then
    cp -p -- "$3" "$2/$4.partial" || { rm -f "$2/$4.partial"; exit 1; }
    sync "$2/$4.partial" 2>/dev/null || sync
    mv -f -- "$2/$4.partial" "$2/$4"
fi
# A line that a crash cut off must not swallow the one that follows it.
if [ -s "$1" ] && [ -n "$(tail -c 1 "$1")" ]; then echo >> "$1"; fi
cat >> "$1"
sync "$1" 2>/dev/null || sync
"""


def new_run() -> str:
    """Return a run's id: when it began, and a part that no other has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def run_line(run: str, command: str) -> dict[str, Any]:
    """Return the line that says a command begins to change the host."""
    return {"time": _now(), "event": "run", "run": run, "command": command}


def end_line(run: str) -> dict[str, Any]:
    """Return the line that says a run has come to its end; until it stands there, the next run continues that one."""
    return {"time": _now(), "event": "end", "run": run}


def intent_line(run: str, planned: PlannedChange, state: HostState) -> dict[str, Any]:
    """Return the line that says a change is about to be made on a host that stands as `state` says."""
    change = planned.change
    found = state.files.get(change.replaces) if change.replaces else None
    return {
        "time": _now(),
        "event": "intent",
        "entry": secrets.token_hex(8),
        "run": run,
        "change": change.id,
        "step": planned.step,
        "summary": change.summary,
        "path": change.replaces,
        "before": found.sha256 if found else None,
        "after": change.after,
        "one_way": change.one_way,
        "undo": [command_data(each) for each in change.undo(state)],
        "settle": [command_data(each) for each in change.settle(state)],
    }


def done_line(intent: dict[str, Any]) -> dict[str, Any]:
    """Return the line that says the change of an intent has been made."""
    return {"time": _now(), "event": "done", "entry": intent["entry"], "change": intent["change"]}


def ended_line(planned: PlannedChange) -> dict[str, Any]:
    """Return the line that a crash kept from being written, for a change whose stamp says that it was made."""
    return {"time": _now(), "event": "done", "entry": "", "change": planned.change.id}


def undo_line(entry: Entry, event: str) -> dict[str, Any]:
    """Return the line that says an entry is about to be put back (`undo`) or has been (`undone`)."""
    return {"time": _now(), "event": event, "entry": entry.id, "change": entry.change}


def settled_line() -> dict[str, Any]:
    """Return the line that says a rollback has ended."""
    return {"time": _now(), "event": "settled"}


def append(entries: Sequence[dict[str, Any]], back_up: dict[str, Any] | None = None) -> Command:
    """Return the command that puts lines on disk, with a copy made before them of the file that `back_up` replaces."""
    content = "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in entries)
    path, name = "", ""
    if back_up and back_up["path"] and back_up["before"]:
        path, name = back_up["path"], PurePosixPath(backup_path(back_up["path"], back_up["before"])).name
    argv = ("sh", "-c", _APPEND, "journal", JOURNAL, BACKUPS, path, name)
    return Command(argv, stdin=content.encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
