"""The journal on the host: what is about to be changed and what has been, each line on disk before the next act.

`/var/lib/kubelab/journal.jsonl`, mode 0600. An `intent` carries the hash and the backup of what it replaces; a `done`
is its end.
A change whose last line is an intent was cut off; the next plan holds it again (`facts.unfinished_changes`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.plan import PlannedChange

JOURNAL = "/var/lib/kubelab/journal.jsonl"
BACKUPS = "/var/lib/kubelab/backups"

# coreutils before 8.24 (CentOS 7) has no `sync FILE`; plain sync is slower and as safe.
_APPEND = """set -eu
umask 077
mkdir -p "$(dirname "$1")" "$2"
if [ -n "$3" ] && [ -f "$3" ] && [ ! -e "$2/$4" ]; then cp -p -- "$3" "$2/$4"; sync "$2/$4" 2>/dev/null || sync; fi
# A line that a crash cut off must not swallow the one that follows it.
if [ -s "$1" ] && [ -n "$(tail -c 1 "$1")" ]; then echo >> "$1"; fi
cat >> "$1"
sync "$1" 2>/dev/null || sync
"""


def intent(planned: PlannedChange, before: str | None, backup: str | None) -> dict[str, Any]:
    """Return the line that says a change is about to be made."""
    return {
        "time": _now(),
        "event": "intent",
        "change": planned.change.id,
        "step": planned.step,
        "summary": planned.change.summary,
        "path": planned.change.replaces,
        "before": before,
        "backup": backup,
    }


def done(planned: PlannedChange) -> dict[str, Any]:
    """Return the line that says a change has been made."""
    return {"time": _now(), "event": "done", "change": planned.change.id}


def append(entries: Sequence[dict[str, Any]], *, back_up: str = "", backup_name: str = "") -> Command:
    """Return the command that puts entries on disk, with a copy of the file `back_up` made before them."""
    content = "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in entries)
    argv = ("sh", "-c", _APPEND, "journal", JOURNAL, BACKUPS, back_up, backup_name)
    return Command(argv, stdin=content.encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
