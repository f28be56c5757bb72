"""Faults on real hosts: killed after every journal line, rolled back after every step, restarted. Minutes each."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import pytest

from kubelab_helpers.cluster import nodes, renewal, snapshots
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.executor import converge, end_run, read_plan
from kubelab_helpers.hosts.rollback import apply_rollback, read_rollback
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.hosts.steps import PREPARATION
from kubelab_helpers.lab.cluster import NODE_STEPS
from kubelab_helpers.result import SilentReporter

from .machines import Machine, bare_hosts
from .node import lab_of, node_of, steps_of
from .snapshot import is_as_before, steady_facts, steady_lines, take_snapshot
from .ssh_hosts import stop_container
from .waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).resolve().parent / "programs" / "converge_and_die.py"
SILENT = SilentReporter()
ATTEMPTS = 400
"""More than twice the changes of a node: a sweep that makes no headway ends here."""


def begin(what: str, cluster: str, subnet: str, hosts: str, lines: int = 0) -> subprocess.Popen[bytes]:
    """Begin to `make`, `join` or `reset` the last of the hosts; it dies after so many journal lines, or never."""
    search = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, str(PROGRAM), what, cluster, subnet, hosts, str(lines)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": search})


def attempt(what: str, cluster: str, subnet: str, hosts: str, lines: int = 0) -> int:
    """Do that to its end, or its death; return the exit status."""
    return begin(what, cluster, subnet, hosts, lines).wait(timeout=400)


def sweep(what: str, cluster: str, subnet: str, hosts: str, deaths: Iterable[int]) -> int:
    """Begin again and again, each time killed after that many journal lines, until it ends; return how many kills."""
    began = time.monotonic()
    for kills, lines in enumerate(islice(deaths, ATTEMPTS)):
        if (status := attempt(what, cluster, subnet, hosts, lines)) != -signal.SIGKILL:
            print(f"{what}: {kills} kills in {time.monotonic() - began:.0f} s")
            assert status == 0
            return kills
    raise AssertionError(f"{what} has not ended after {ATTEMPTS} attempts")


def test_killed_after_every_journal_line_it_converges() -> None:
    """Every attempt is killed once its first or its second line is on the disk: before a change, and after one."""
    cluster, subnet = "kl4h-sweep", "172.30.244.0/24"
    with bare_hosts(cluster, subnet, ["one"]) as (one,):
        kills = sweep("make", cluster, subnet, "one", cycle((1, 2)))
        lab, node = node_of(cluster, "one", subnet)
        # A change that was cut off more than once has as many entries.
        changes = len({entry.change for entry in probe_state(one.runner, ()).ledger.entries})
        assert kills > changes > 40
        for step in steps_of(lab):
            assert read_plan(one.runner, (step,), node)[0].changes == ()
        state = probe_state(one.runner, ())
        assert (state.unfinished, state.ledger.open_run) == (frozenset(), None)
        assert len({entry.run for entry in state.ledger.entries}) == 1
        wait_until_ready(one, "one")


def test_a_join_and_a_reset_that_are_killed_converge() -> None:
    """A worker's join is killed at each of its journal lines; then both hosts' resets, between any two changes.

    The same command goes on each time, and in the end both hosts are as they were.
    """
    cluster, subnet = "kl4h-undo", "172.30.228.0/24"
    with bare_hosts(cluster, subnet, ["one", "two"]) as (one, two):
        before = {machine.name: (take_snapshot(machine), steady_facts(machine)) for machine in (one, two)}
        assert attempt("make", cluster, subnet, "one") == 0
        lab = lab_of(cluster, subnet, ["one", "two"])
        converge(two.runner, NODE_STEPS, lab.node(lab.spec.hosts[1], lab.parts()), SILENT, "prepare two")
        assert sweep("join", cluster, subnet, "one,two", (1, 2, 0)) == 2
        wait_until_ready(one, "two")
        for machine, hosts in ((two, "one,two"), (one, "one")):
            # One line at a time would make no headway, and one change at a time takes minutes.
            assert sweep("reset", cluster, subnet, hosts, cycle((1, 2, 7))) > 10
            state = probe_state(machine.runner, ())
            assert (state.unfinished, state.ledger.entries, state.ledger.open_run) == (frozenset(), (), None)
            assert take_snapshot(machine) == before[machine.name][0]
            assert steady_facts(machine) == before[machine.name][1]


def test_a_host_that_is_restarted_in_the_middle_converges() -> None:
    """Its power is gone while it is prepared, and again in the middle of `kubeadm init`; the same command goes on."""
    cluster, subnet = "kl4h-power", "172.30.227.0/24"
    prepared = "grep -c . /var/lib/kubelab/journal.jsonl | grep -qE '^([3-9].|1..)$'"
    initialising = (
        "test -e /etc/kubernetes/manifests/kube-apiserver.yaml && test ! -e /var/lib/kubelab/stamps/kubeadm-init"
    )
    with bare_hosts(cluster, subnet, ["one"]) as (one,):
        for condition in (prepared, initialising):
            making = begin("make", cluster, subnet, "one")
            wait_until(partial(_holds, one, condition), 180, condition)
            stop_container(one, "kill")
            assert making.wait(timeout=60) not in (0, -signal.SIGKILL)
            stop_container(one, "start")
            nodes.wait_until_booted(one.runner)
            assert probe_state(one.runner, ()).ledger.open_run
        assert attempt("make", cluster, subnet, "one") == 0
        lab, node = node_of(cluster, "one", subnet)
        for step in steps_of(lab):
            assert read_plan(one.runner, (step,), node)[0].changes == ()
        wait_until_ready(one, "one")


def test_a_rollback_after_every_step_gives_everything_back() -> None:
    """Of the cluster's own timers what is on the host: under a cluster that runs, all else changes by itself."""
    cluster, subnet = "kl4h-steps", "172.30.245.0/24"
    with bare_hosts(cluster, subnet, ["one"]) as (one,):
        lab, node = node_of(cluster, "one", subnet)
        for step in steps_of(lab):
            before = (take_snapshot(one), steady_facts(one))
            runs = step.name in (snapshots.STEP, renewal.STEP)
            if not converge(one.runner, (step,), node, SILENT, step.name):
                continue
            end_run(one.runner, probe_state(one.runner, ()))
            apply_rollback(one.runner, read_rollback(one.runner, "one"), SILENT, "rollback")
            if runs:
                assert _settings(take_snapshot(one)) == _settings(before[0]), step.name
            elif step.name != "network":  # its objects are in the cluster, and go with it
                # containerd removes the layers of containers that are gone when it finds the time.
                with contextlib.suppress(AssertionError):
                    wait_until(partial(is_as_before, one, before[0]), 30, step.name)
                assert steady_lines(take_snapshot(one)) == steady_lines(before[0]), step.name
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


def _holds(one: Machine, condition: str) -> bool:
    return one.runner.run(Command(("sh", "-c", condition), timeout_seconds=30)).status == 0


def wait_until_ready(control: Machine, name: str) -> None:
    """Wait until the cluster calls a node Ready."""
    kubectl = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--cache-dir=/run/kubectl")
    control.run(*kubectl, "wait", f"node/{name}", "--for=condition=Ready", "--timeout=120s", timeout_seconds=130)


def _settings(snapshot: set[str]) -> set[str]:
    """Leave in files of /etc and /usr, and the units."""
    return {line for line in snapshot if re.match(r"/(etc|usr)/|\S+\.(service|timer) ", line)}
