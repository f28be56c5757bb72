"""What work returns and how it tells its progress; rendering is the CLI's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

SCHEMA = 1
"""The number in every JSON answer; it rises when a key changes its meaning."""


class Outcome(StrEnum):
    """How one piece of work ended."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class StageResult:
    """One stage's end: its outcome, its seconds, and one line of detail."""

    name: str
    outcome: Outcome
    seconds: float
    detail: str = ""


class Reporter(Protocol):
    """Told of progress while work goes on; a task is named by its label."""

    def start(self, task: str, total: float | None = None) -> None:
        """A task began; `total` in the task's own unit, or None when it is not known."""

    def advance(self, task: str, completed: float, note: str = "") -> None:
        """A task is at `completed` of its total; `note` says what it does now."""

    def finish(self, task: str, outcome: Outcome, note: str = "") -> None:
        """A task ended."""


class SilentReporter:
    """A reporter for callers that want only the result."""

    def start(self, task: str, total: float | None = None) -> None:
        """Say nothing."""

    def advance(self, task: str, completed: float, note: str = "") -> None:
        """Say nothing."""

    def finish(self, task: str, outcome: Outcome, note: str = "") -> None:
        """Say nothing."""
