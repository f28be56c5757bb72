"""Faults on real hosts: killed after every journal line, rolled back after every step, a full disk. Minutes each."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from kubelab_helpers.errors import ExitStatus, PartlyDoneError
from kubelab_helpers.hosts.executor import converge, end_run, read_plan
from kubelab_helpers.hosts.rollback import apply_rollback, read_rollback
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.hosts.steps import PREPARATION
from kubelab_helpers.result import SilentReporter

from .machines import Machine, bare_hosts
from .node import node_of, steps_of
from .snapshot import steady_facts, take_snapshot
from .waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).resolve().parent / "programs" / "converge_and_die.py"
SILENT = SilentReporter()
ATTEMPTS = 400
"""More than twice the changes of a node: a sweep that makes no headway ends here."""


def attempt(cluster: str, subnet: str, lines: int) -> int:
    """Run the program that makes the node and dies after so many journal lines; return its exit status."""
    command = [sys.executable, str(PROGRAM), cluster, "one", subnet, str(lines)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, timeout=400, check=False).returncode


def test_killed_after_every_journal_line_it_converges() -> None:
    """Every attempt is killed once its first or its second line is on the disk: before a change, and after one."""
    cluster, subnet = "kl4h-sweep", "172.30.244.0/24"
    with bare_hosts(cluster, subnet, ["one"]) as (one,):
        kills, status, began = 0, -signal.SIGKILL, time.monotonic()
        while status == -signal.SIGKILL and kills < ATTEMPTS:
            status = attempt(cluster, subnet, 1 + kills % 2)
            kills += status == -signal.SIGKILL
        print(f"{kills} kills in {time.monotonic() - began:.0f} s")
        assert status == 0
        lab, node = node_of(cluster, "one", subnet)
        # A change that was cut off more than once has as many entries.
        changes = len({entry.change for entry in probe_state(one.runner, ()).ledger.entries})
        assert kills > changes > 40
        for step in steps_of(lab):
            assert read_plan(one.runner, (step,), node)[0].changes == ()
        state = probe_state(one.runner, ())
        assert (state.unfinished, state.ledger.open_run) == (frozenset(), None)
        assert len({entry.run for entry in state.ledger.entries}) == 1
        kubectl = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--cache-dir=/run/kubectl")
        one.run(*kubectl, "wait", "node/one", "--for=condition=Ready", "--timeout=120s", timeout_seconds=130)


def test_a_rollback_after_every_step_gives_everything_back() -> None:
    cluster, subnet = "kl4h-steps", "172.30.245.0/24"
    with bare_hosts(cluster, subnet, ["one"]) as (one,):
        lab, node = node_of(cluster, "one", subnet)
        for step in steps_of(lab):
            before = (take_snapshot(one), steady_facts(one))
            if not converge(one.runner, (step,), node, SILENT, step.name):
                continue
            end_run(one.runner, probe_state(one.runner, ()))
            apply_rollback(one.runner, read_rollback(one.runner, "one"), SILENT, "rollback")
            if step.name != "network":  # its objects are in the cluster, and go with it
                # containerd removes the layers of containers that are gone when it finds the time.
                with contextlib.suppress(AssertionError):
                    wait_until(partial(_is_as_before, one, before[0]), 30, step.name)
                assert _steady(take_snapshot(one)) == _steady(before[0]), step.name
                assert steady_facts(one) == before[1], step.name
            converge(one.runner, (step,), node, SILENT, step.name)
            end_run(one.runner, probe_state(one.runner, ()))


def test_packages_that_came_go_again() -> None:
    """Socat and what it needs were not there; a rollback removes just those."""
    cluster, subnet = "kl4h-packages", "172.30.251.0/24"
    with bare_hosts(cluster, subnet, ["one"]) as (one,):
        one.shell("dpkg --purge socat")
        before = one.run("dpkg-query", "--show")
        _, node = node_of(cluster, "one", subnet)
        (step,) = (each for each in PREPARATION if each.name == "packages")
        assert converge(one.runner, (step,), node, SILENT, "packages") >= 1
        assert "socat" in one.run("dpkg-query", "--show")
        apply_rollback(one.runner, read_rollback(one.runner, "one"), SILENT, "rollback")
        assert one.run("dpkg-query", "--show") == before


def test_a_full_disk_is_told_and_the_same_command_goes_on() -> None:
    cluster, subnet = "kl4h-disk", "172.30.246.0/24"
    with bare_hosts(cluster, subnet, ["one"]) as (one,):
        lab, node = node_of(cluster, "one", subnet)
        one.shell("mkdir -p /var/lib/containerd; mount -t tmpfs -o size=64m tmpfs /var/lib/containerd")
        with pytest.raises(PartlyDoneError, match="no space left on device") as raised:
            _prepare(one, cluster, subnet)
        assert raised.value.exit_status is ExitStatus.PARTLY_DONE
        one.shell("systemctl stop containerd; umount /var/lib/containerd; systemctl start containerd")
        _prepare(one, cluster, subnet)
        for step in steps_of(lab)[:-2]:
            assert read_plan(one.runner, (step,), node)[0].changes == ()


def _is_as_before(one: Machine, before: set[str]) -> bool:
    return _steady(take_snapshot(one)) == _steady(before)


def _steady(snapshot: set[str]) -> set[str]:
    """Leave out what containerd keeps for itself while it runs, but not the images' layers and blobs."""
    own = re.compile(r"/var/lib/containerd/(?!.*(/snapshots/\d|/blobs/sha256/\w))")
    return {line for line in snapshot if not own.match(line)}


def _prepare(one: Machine, cluster: str, subnet: str) -> None:
    lab, node = node_of(cluster, "one", subnet)
    for step in steps_of(lab)[:-2]:
        converge(one.runner, (step,), node, SILENT, step.name)
