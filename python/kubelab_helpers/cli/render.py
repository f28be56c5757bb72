"""How results and progress look: the only user of rich. Progress goes to stderr, answers to stdout."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts.findings import Finding, Severity
from kubelab_helpers.result import SCHEMA, Outcome, StageResult

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from kubelab_helpers.lab.stages import Stage

COLOURS = {Severity.BLOCKED: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "blue", Severity.OK: "green"}
MARKS = {
    Outcome.CHANGED: "changed",
    Outcome.UNCHANGED: "as it was",
    Outcome.FAILED: "failed",
    Outcome.BLOCKED: "blocked",
}


class ProgressReporter:
    """Bars on a terminal, one line a finished task elsewhere. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._notes: dict[str, str] = {}
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        """Begin to show."""
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.description:<22}"),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
            )
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        if self._bars:
            for bar in self._tasks.values():
                self._bars.remove_task(bar)
            self._bars.stop()

    def start(self, task: str, total: float | None = None) -> None:
        """See result.Reporter."""
        with self._lock:
            self._notes[task] = ""
            if self._bars and task in self._tasks:
                self._bars.update(self._tasks[task], total=total, completed=0, note="")
            elif self._bars:
                self._tasks[task] = self._bars.add_task(task, total=total, note="")

    def advance(self, task: str, completed: float, note: str = "") -> None:
        """See result.Reporter; without a terminal only a new note is worth a line."""
        with self._lock:
            if self._bars and task in self._tasks:
                self._bars.update(self._tasks[task], completed=completed, note=note)
            elif self._bars is None and self._notes.get(task) != note:
                self._write(f"{task}: {note}")
            self._notes[task] = note

    def finish(self, task: str, outcome: Outcome, note: str = "") -> None:
        """See result.Reporter; of a started task that changed nothing there is nothing to say."""
        with self._lock:
            started = self._notes.pop(task, None) is not None
            if self._bars and task in self._tasks:
                self._bars.remove_task(self._tasks.pop(task))
            if started and outcome is Outcome.UNCHANGED:
                return
            text = f"{task}: {MARKS[outcome]}" + (f" — {note}" if note else "")
            if self._bars:
                self._bars.console.print(text, highlight=False)
            else:
                self._write(text)

    def _write(self, text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - self._began:7.1f} s  {text}\n")
        sys.stderr.flush()


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON answer with its schema number."""
    sys.stdout.write(json.dumps({"schema": SCHEMA, **value}, indent=2) + "\n")


def print_text(text: str) -> None:
    """Print a line of an answer."""
    sys.stdout.write(text + "\n")


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    title: str = "",
    *,
    to_stderr: bool = False,
    width: int = 100,
) -> None:
    """Print a table; in a file it may be `width` columns wide. `to_stderr` is for one that goes with an answer."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, title=title or None)
    for row in rows:
        table.add_row(*row)
    console = Console(stderr=to_stderr)
    Console(width=None if console.is_terminal else max(console.width, width), stderr=to_stderr).print(table)


def print_findings(findings: Sequence[Finding]) -> None:
    """Print findings, the heaviest first, in colour on a terminal: what, what was seen, what to do."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True)
    order = list(COLOURS)
    for each in sorted(findings, key=lambda each: (order.index(each.severity), each.host)):
        where = f" on {each.host}" if each.host else ""
        console.print(Text.assemble((f"{each.severity:<8}", COLOURS[each.severity]), (f" {each.title}", "bold"), where))
        if each.seen:
            console.print(Text(f"         {each.seen}", style="dim"))
        if each.remedy:
            console.print(Text(f"         {each.remedy}"))


def stage_rows(results: Sequence[StageResult]) -> list[list[str]]:
    """Return the table of stages: name, outcome, seconds, detail."""
    return [[each.name, MARKS[each.outcome], f"{each.seconds:.1f}", each.detail] for each in results]


def print_stages(cluster: str, kubernetes_version: str, stages: Sequence[Stage], *, as_json: bool) -> None:
    """Print the stages that would run."""
    if as_json:
        listed = [{"name": each.name, "title": each.title} for each in stages]
        print_json({"cluster": cluster, "kubernetes": kubernetes_version, "stages": listed})
        return
    print_table(("stage", "what it does"), [[each.name, each.title] for each in stages])


def print_error(error: KubelabError) -> None:
    """Say what failed, how to repeat it, and what to do next."""
    lines = [f"Error: {error.what}"]
    lines += [f"Repeat it with: {error.repeat}"] if error.repeat else []
    lines += [f"Next: {error.next_step}"] if error.next_step else []
    sys.stderr.write("\n".join(lines) + "\n")
