"""Deciding: from facts, state and spec to the changes still missing. Pure: nothing here can write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.change import Change
from kubelab_helpers.hosts.facts import HostFacts
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


@dataclass(frozen=True)
class Plan:
    """What will be done on one host, in order."""

    host: str
    changes: tuple[PlannedChange, ...]
    ended: tuple[PlannedChange, ...] = ()
    """Changes whose stamp says that they were made, while the journal lacks their last line."""

    def as_data(self) -> dict[str, Any]:
        """Return the plan for JSON."""
        changes = [{"step": each.step, "id": each.change.id, "summary": each.change.summary} for each in self.changes]
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
    refusals = [reason for each in missing if (reason := each.change.refused_by(state))]
    if refusals:
        raise BlockedError(
            f"{host}: " + "; ".join(refusals),
            next_step="kubelab does not overwrite what it did not make: remove it yourself, or choose another host",
        )
    ended = (each for each in desired if each.change.id in state.unfinished and each not in missing)
    return Plan(host, missing, tuple(ended))
