"""Which connections are tried in which phase, and what counts as passed."""

from __future__ import annotations

import pytest

from kubelab_helpers.cluster.connections import (
    OUTSIDE,
    POLICIES,
    REMEDIES,
    TITLES,
    Connection,
    Expected,
    Ground,
    judge,
    plan_phases,
)

PODS = {"probe-0": "10.0.0.1", "probe-1": "10.0.1.1", "probe-2": "10.0.2.1", "neighbour": "10.0.0.2", "outside": "x"}
NODES = {"a": "192.0.2.1", "b": "192.0.2.2", "c": "192.0.2.3"}


def ground(nodes: int) -> Ground:
    return Ground(dict(list(NODES.items())[:nodes]), PODS, "10.96.0.9", 30999)


def test_every_node_sends_and_receives() -> None:
    ways = [each for each in plan_phases(ground(3))[0].connections if each.id == "across-nodes"]
    assert {each.origin for each in ways} == {"probe-0", "probe-1", "probe-2"}
    assert {each.target for each in ways} == {f"10.0.{node}.1:8080" for node in range(3)}


def test_full_packets_are_larger_than_any_mtu() -> None:
    full = next(each for each in plan_phases(ground(2))[0].connections if each.id == "full-packets")
    assert len(full.argv[-1]) > 9000
    assert "--protocol=udp" in full.argv


def test_one_node_has_no_way_to_another() -> None:
    phases = plan_phases(ground(1))
    assert {"across-nodes", "full-packets"}.isdisjoint(each.id for phase in phases for each in phase.connections)
    assert [phase.policies for phase in phases] == [(), POLICIES[:1], POLICIES[:2], POLICIES]


def test_names_of_outside_are_only_asked_for_when_named() -> None:
    def asked(*names: str) -> list[str]:
        phase = plan_phases(ground(1), names)[0]
        return [each.target for each in phase.connections if each.id == "outside-names"]

    assert asked() == []
    assert asked("a.example", "b.example:8443") == ["a.example:443", "b.example:8443"]


def test_the_last_phase_lets_in_whom_it_must_and_nobody_else() -> None:
    last = plan_phases(ground(2))[-1].connections
    assert [(each.namespace == OUTSIDE, each.expected) for each in last] == [
        (False, "connects"),
        (False, "connects"),
        (True, "denied"),
    ]


@pytest.mark.parametrize(
    ("expected", "status", "error", "ok"),
    [
        ("connects", 0, "", True),
        ("connects", 1, "TIMEOUT\ncommand terminated with exit code 1", False),
        ("denied", 1, "TIMEOUT\ncommand terminated with exit code 1", True),
        ("denied", 1, "DNS: lookup x: i/o timeout\ncommand terminated with exit code 1", True),
        ("denied", 0, "", False),
        ("denied", 1, "REFUSED\ncommand terminated with exit code 1", False),
        # kubectl itself failed: nothing was tried, so nothing was denied.
        ("denied", 1, "Error from server: error dialing backend", False),
        ("resolves", 1, "TIMEOUT\ncommand terminated with exit code 1", True),
        ("resolves", 1, "DNS: no such host\ncommand terminated with exit code 1", False),
        ("resolves", 0, "", False),
    ],
)
def test_only_what_was_really_tried_counts(expected: Expected, status: int, error: str, ok: bool) -> None:
    verdict = judge(Connection("deny-all", "probe-0", "x:1", expected), status, error)
    assert verdict.ok is ok
    assert verdict.ok or verdict.said


def test_every_kind_has_a_title_and_a_remedy() -> None:
    used = {each.id for phase in plan_phases(ground(2), ["x"]) for each in phase.connections}
    assert used == set(TITLES) == set(REMEDIES)
