"""The endpoint's name in /etc/hosts: every control plane's address, in an order, and none that is gone."""

from __future__ import annotations

import dataclasses

from kubelab_helpers.hosts.file import Line, NoLine
from kubelab_helpers.hosts.state import HostState
from kubelab_helpers.hosts.steps.system import desire_names

from .support import node_spec, recorded_facts

ADDRESSES = ("192.0.2.2", "192.0.2.1", "192.0.2.3")
NAME = "kubelab.kubelab.internal"
COMMENT = "  # kubelab: the control plane's endpoint"


def desired(*entries: str) -> list[tuple[type, str]]:
    """Return the lines to add and to remove on a host with these entries."""
    facts = dataclasses.replace(recorded_facts("new-node"), hosts_entries=frozenset(entries))
    changes = desire_names(facts, node_spec(control_plane_addresses=ADDRESSES))
    assert all(isinstance(each, Line | NoLine) for each in changes)
    return [(type(each), each.line.removesuffix(COMMENT)) for each in changes]  # type: ignore[attr-defined]  # as seen


def test_every_control_plane_has_a_line_in_the_order_given() -> None:
    assert desired() == [(Line, f"{address} {NAME}") for address in ADDRESSES]


def test_only_what_is_missing_is_added() -> None:
    assert desired(f"192.0.2.2 {NAME}", f"192.0.2.3 {NAME}") == [(Line, f"192.0.2.1 {NAME}")]


def test_the_address_of_a_removed_control_plane_goes() -> None:
    there = [f"{address} {NAME}" for address in (*ADDRESSES, "192.0.2.9")]
    assert desired(*there, "192.0.2.9 another.name") == [(NoLine, f"192.0.2.9 {NAME}")]


def test_somebody_elses_line_stays() -> None:
    """Only a line that is written as kubelab writes it is one of kubelab's."""
    gone = NoLine("/etc/hosts", f"192.0.2.9 {NAME}{COMMENT}")
    assert gone.satisfied_by(HostState(lines=frozenset({("/etc/hosts", f"192.0.2.9 {NAME}")})))
    ours = HostState(lines=frozenset({("/etc/hosts", gone.line)}))
    assert not gone.satisfied_by(ours)
    assert [each.argv[-2:] for each in gone.undo(ours)] == [("/etc/hosts", gone.line)]
