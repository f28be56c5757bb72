"""A stamp says more than the journal: what it covers was made to its end, whatever line is missing after it."""

from __future__ import annotations

from kubelab_helpers.hosts.change import Action, Change
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.file import File
from kubelab_helpers.hosts.plan import PlannedChange, plan
from kubelab_helpers.hosts.service import Unit
from kubelab_helpers.hosts.state import FileState, HostState

INIT = Action(
    "kubeadm-init", "kubeadm init", "kubelab", (Command(("kubeadm", "reset", "--force")),), guards=("/etc/admin",)
)
UNIT = Unit("containerd", "1")
FILE = File("/etc/example", b"content")


def planned(change: Change, state: HostState) -> bool:
    """Return whether a plan of that one change holds it."""
    return bool(plan("host", [PlannedChange("step", change)], state).changes)


def test_a_cluster_is_not_reset_because_the_last_line_of_the_journal_is_missing() -> None:
    """Killed between the stamp and `done`: kubeadm init has ended well, and its reset must not come again."""
    state = HostState(stamps={"kubeadm-init": "kubelab"}, unfinished=frozenset({INIT.id}))
    assert not planned(INIT, state)


def test_an_init_that_was_cut_off_before_its_stamp_is_made_again() -> None:
    state = HostState(files={"/etc/admin": FileState("1", "600", "0:0")}, unfinished=frozenset({INIT.id}))
    assert planned(INIT, state)


def test_a_unit_that_was_restarted_is_not_restarted_again() -> None:
    state = HostState(
        units={"containerd": ("active", "enabled")}, stamps={"unit-containerd": "1"}, unfinished=frozenset({UNIT.id})
    )
    assert not planned(UNIT, state)


def test_a_file_that_was_cut_off_is_written_again() -> None:
    assert planned(FILE, HostState(unfinished=frozenset({FILE.id})))


def test_a_change_that_is_made_again_is_not_called_ended() -> None:
    """Killed before it is made, it would count as made: its `done` line would be in the journal already."""
    again = HostState(unfinished=frozenset({FILE.id}))
    assert plan("host", [PlannedChange("step", FILE)], again).ended == ()
    stamped = HostState(stamps={"kubeadm-init": "kubelab"}, unfinished=frozenset({INIT.id}))
    assert [each.change for each in plan("host", [PlannedChange("step", INIT)], stamped).ended] == [INIT]
