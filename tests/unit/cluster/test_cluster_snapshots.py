"""What a control plane gets to make snapshots, and how their list is read."""

from __future__ import annotations

from pathlib import Path

from kubelab_helpers.cluster.snapshots import TIMER, TOOLS, Snapshot, desire_snapshots, parse_snapshots
from kubelab_helpers.hosts.file import File
from kubelab_helpers.hosts.service import Unit
from kubelab_helpers.hosts.spec import LocalProgram

PARTS = {name: LocalProgram(Path("/parts") / name, "a" * 64) for name in TOOLS}


def test_a_damaged_snapshot_is_listed_as_one() -> None:
    # The status is one that etcdutl 3.7.3 wrote.
    said = '{"hash":3599863001,"revision":377,"totalKey":314,"totalSize":647168,"version":"3.7.0"}'
    found = parse_snapshots(f"/s/etcd-1.db\t{said}\n/s/etcd-2.db\t\n")
    assert found == [Snapshot("/s/etcd-1.db", True, 3599863001, 377, 314, 647168), Snapshot("/s/etcd-2.db", False)]


def test_another_interval_starts_the_timer_anew() -> None:
    def timer_of(hours: int) -> tuple[bytes, str]:
        changes = desire_snapshots(PARTS, hours)
        text = next(each.content for each in changes if isinstance(each, File) and each.path.endswith(TIMER))
        return text, next(each.stamp for each in changes if isinstance(each, Unit))

    assert b"OnUnitActiveSec=6h" in timer_of(6)[0]
    assert timer_of(6)[1] != timer_of(12)[1]


def test_the_unit_is_the_last_change() -> None:
    """The timer must not begin before what it starts is there."""
    changes = desire_snapshots(PARTS)
    assert [isinstance(each, Unit) for each in changes] == [False] * (len(changes) - 1) + [True]
