"""A disk that is full: told, nothing half, and the same command goes on when there is space again."""

from __future__ import annotations

import contextlib
from functools import partial

import pytest

from kubelab_helpers.errors import ExitStatus, PartlyDoneError
from kubelab_helpers.hosts.executor import converge, read_plan
from kubelab_helpers.hosts.reset import reset_host
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.lab.cluster import NODE_STEPS
from kubelab_helpers.result import SilentReporter

from .machines import Machine, bare_hosts
from .node import node_of
from .snapshot import is_as_before, steady_lines, take_snapshot
from .waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SILENT = SilentReporter()


def test_a_full_disk_is_told_and_the_same_command_goes_on() -> None:
    cluster, subnet = "kl4h-disk", "172.30.246.0/24"
    with bare_hosts(cluster, subnet, ["one"]) as (one,):
        _, node = node_of(cluster, "one", subnet)
        one.shell("mkdir -p /var/lib/containerd; mount -t tmpfs -o size=64m tmpfs /var/lib/containerd")
        with pytest.raises(PartlyDoneError, match="no space left on device") as raised:
            _prepare(one, cluster, subnet)
        assert raised.value.exit_status is ExitStatus.PARTLY_DONE
        one.shell("systemctl stop containerd; umount /var/lib/containerd; systemctl start containerd")
        _prepare(one, cluster, subnet)
        for step in NODE_STEPS:
            assert read_plan(one.runner, (step,), node)[0].changes == ()


def test_a_journal_that_cannot_be_written_stops_the_work_and_the_same_command_goes_on() -> None:
    """A full /var/lib/kubelab: nothing is done that no line tells of, and no half copy is put back afterwards."""
    cluster, subnet, theirs = "kl4h-journal", "172.30.226.0/24", "/etc/sysctl.d/90-kubelab.conf"
    with bare_hosts(cluster, subnet, ["one"]) as (one,):
        one.shell('i=0; while [ $i -lt 9999 ]; do echo "# theirs $i"; i=$((i + 1)); done > "$1"', theirs)
        one.shell("mkdir -p /var/lib/kubelab; mount -t tmpfs -o size=16k tmpfs /var/lib/kubelab")
        one.shell("head -c 16k /dev/zero > /var/lib/kubelab/ballast || true")
        before, stood = take_snapshot(one), _find_unrecorded(one)  # what the image brings, and their file
        said = _refused_prepare(one, cluster, subnet)
        assert "the journal /var/lib/kubelab/journal.jsonl, or a copy beside it, cannot be written" in said
        assert "No space left on device" in said
        assert "set -eu" not in said
        assert take_snapshot(one) == before
        one.shell("mount -o remount,size=128k /var/lib/kubelab")  # for the journal, not for the copy of their file
        assert "No space left on device" in _refused_prepare(one, cluster, subnet)
        assert one.run("wc", "--lines", theirs).split()[0] == "9999"
        assert _find_unrecorded(one) == stood
        one.shell("rm /var/lib/kubelab/ballast; mount -o remount,size=64m /var/lib/kubelab")
        _prepare(one, cluster, subnet)
        _, node = node_of(cluster, "one", subnet)
        for step in NODE_STEPS:
            assert read_plan(one.runner, (step,), node)[0].changes == ()
        reset_host(one.runner, "one", SILENT)
        with contextlib.suppress(AssertionError):
            wait_until(partial(is_as_before, one, before), 30, "reset")
        assert steady_lines(take_snapshot(one)) == steady_lines(before)
        assert one.run("wc", "--lines", theirs).split()[0] == "9999"


def _refused_prepare(one: Machine, cluster: str, subnet: str) -> str:
    """Return what is said when the preparation stops."""
    with pytest.raises(PartlyDoneError) as raised:
        _prepare(one, cluster, subnet)
    assert raised.value.next_step
    return raised.value.what


def _find_unrecorded(one: Machine) -> set[str]:
    """Return files under kubelab's name of which the journal has no line, and halves of files."""
    paths = {entry.path for entry in probe_state(one.runner, ()).ledger.entries}
    found = one.shell("""
        find /etc -name '*kubelab*' -type f
        find / /var /var/lib/kubelab -xdev -name '*.kubelab-partial' -o -path '/var/lib/kubelab/*.partial'
    """)
    return {path for path in found.splitlines() if path not in paths}


def _prepare(one: Machine, cluster: str, subnet: str) -> None:
    _, node = node_of(cluster, "one", subnet)
    for step in NODE_STEPS:
        converge(one.runner, (step,), node, SILENT, step.name)
