"""Deciding: from facts, state and spec to the changes still missing. Pure: nothing here can write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.change import Change
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.file import Directory, parents
from kubelab_helpers.hosts.spec import NodeSpec
from kubelab_helpers.hosts.state import HostState


@dataclass(frozen=True)
class Step:
    """One part of making a node: `desire` returns everything that must be so, in order, whatever is so already."""

    name: str
    desire: Callable[[HostFacts, NodeSpec], list[Change]]


@dataclass(frozen=True)
class PlannedChange:
    """A change that is missing, and the step that wants it."""

    step: str
    change: Change
    replaces: bool = False
    """Whether it overwrites a file that is there already; a copy of that is kept."""
    again: bool = False
    """Whether an earlier making of it was cut off."""


@dataclass(frozen=True)
class Plan:
    """What will be done on one host, in order."""

    host: str
    changes: tuple[PlannedChange, ...]
    ended: tuple[PlannedChange, ...] = ()
    """Changes whose stamp says that they were made, while the journal lacks their last line."""

    def as_data(self) -> dict[str, Any]:
        """Return the plan for JSON."""
        changes = [
            {"step": each.step, "id": each.change.id, "summary": each.change.summary, "replaces": each.replaces}
            for each in self.changes
        ]
        return {"host": self.host, "changes": changes}


def desire(steps: Sequence[Step], facts: HostFacts, spec: NodeSpec) -> list[PlannedChange]:
    """Return everything that must be so on the host."""
    return [PlannedChange(step.name, change) for step in steps for change in step.desire(facts, spec)]


def plan(host: str, desired: Sequence[PlannedChange], state: HostState) -> Plan:
    """Return the desired changes that are not so yet, or were cut off before their end.

    BlockedError if one of them would overwrite what is not ours.
    """
    missing = tuple(
        each
        for each in desired
        if not each.change.satisfied_by(state) or (each.change.id in state.unfinished and not each.change.stamped)
    )
    missing = tuple(_with_directories(missing, state))
    refusals = [reason for each in missing if (reason := each.change.refused_by(state))]
    if refusals:
        raise BlockedError(
            f"{host}: " + "; ".join(refusals),
            next_step="kubelab overwrites nothing of others: put it back or move it away, then run the command again",
        )
    still = {each.change.id for each in missing}
    ended = (each for each in desired if each.change.id in state.unfinished - still)
    return Plan(host, missing, tuple(ended))


def _with_directories(missing: Iterable[PlannedChange], state: HostState) -> Iterator[PlannedChange]:
    """Put before each file the directories above it that are not there, so that a rollback knows that they are ours."""
    made: set[str] = set()
    for each in missing:
        path = each.change.replaces
        if isinstance(each.change, Directory):
            made.add(each.change.path)
        for directory in parents(path) if path else ():
            absent = directory not in state.files or f"directory:{directory}" in state.unfinished
            if absent and directory not in made:
                made.add(directory)
                yield PlannedChange(each.step, Directory(directory))
        again = each.change.id in state.unfinished
        yield replace(each, replaces=path is not None and path in state.files, again=again)
