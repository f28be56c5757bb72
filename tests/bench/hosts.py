"""What kubelab-host takes on a bare host: each command, kubeadm by hand beside it, and plans for a hundred hosts."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubelab_helpers.artifacts import cache
from kubelab_helpers.cluster.kubeadm import take_down
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.executor import converge, end_run
from kubelab_helpers.hosts.facts import probe_host
from kubelab_helpers.hosts.plan import desire
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.lab import cluster
from kubelab_helpers.result import SilentReporter
from tests.hosts.conftest import CACHE, build_python_image
from tests.hosts.machines import Machine, bare_hosts
from tests.hosts.node import node_of

Figures = dict[str, Any]
NAMESERVER = ("--nameserver", "192.0.2.53")
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf --cache-dir=/run/kubectl"
READY = f"""until {KUBECTL} get nodes --no-headers | grep -q ' Ready'; do sleep 0.3; done
until {KUBECTL} -n kube-system get pods -l k8s-app=kube-dns --no-headers | grep -q '1/1'; do sleep 0.3; done"""
PLANS = """
import json, resource, time
began = time.monotonic()
from tests.unit.hosts.test_hosts_distribution import NAMES, TOO_OLD, facts_of, node_spec
from kubelab_helpers.hosts.plan import desire, plan
from kubelab_helpers.hosts.state import HostState
from kubelab_helpers.hosts.steps import PREPARATION
names = [name for name in NAMES if name not in TOO_OLD]
changes = 0
for number in range(100):
    facts = facts_of(names[number % len(names)])
    changes += len(plan(f"host-{number}", desire(PREPARATION, facts, node_spec()), HostState()).changes)
print(json.dumps({"seconds": round(time.monotonic() - began, 2), "changes": changes,
                  "resident_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}))
"""


def measure_plans() -> Figures:
    """A plan for a hundred recorded hosts, in a process of its own, from its first import on."""
    done = subprocess.run([sys.executable, "-c", PLANS], check=True, capture_output=True, text=True, timeout=120)
    found: Figures = json.loads(done.stdout)
    return found


def measure_hosts() -> Figures:
    """kubelab-host's commands on two bare hosts, and kubeadm and the network by hand on one that is prepared."""
    with tempfile.TemporaryDirectory() as folder:
        image = build_python_image(Path(folder))
    mount = (str(cache.root()), CACHE)
    with bare_hosts("kl4h-bench", "172.30.252.0/24", ["one", "two"], image, [mount]) as (one, two):
        figures = {"check": _time(one, "check"), "plan": _time(one, "plan", *NAMESERVER)}
        figures["init_bare"] = _time(one, "init", *NAMESERVER)
        figures["init_again"] = _time(one, "init", *NAMESERVER)
        ticket = one.runner.check(Command(("kubelab-host", "ticket"))).stdout
        figures["join_bare"] = _time(two, "join", *NAMESERVER, stdin=ticket)
        figures["reset_worker"] = _time(two, "reset", "--yes")
        figures["reset_control_plane"] = _time(one, "reset", "--yes")
    with bare_hosts("kl4h-bench", "172.30.252.0/24", ["one"]) as (one,):
        return {**figures, **_measure_init("kl4h-bench", one)}


def _measure_init(name: str, one: Machine) -> Figures:
    """On one prepared node: kubeadm init and the network by hand to Ready with DNS, then the same by kubelab."""
    lab, node = node_of(name, "one", "172.30.252.0/24")
    steps = (cluster.init_step(lab), cluster.network_step(lab))
    silent = SilentReporter()
    converge(one.runner, cluster.NODE_STEPS, node, silent, "prepare")

    def by_hand() -> None:
        for planned in desire(steps, probe_host(one.runner), node):
            for command in planned.change.operations():
                one.runner.check(command)
        one.shell(READY, timeout_seconds=120)

    def by_kubelab() -> None:
        for step in steps:
            converge(one.runner, (step,), node, silent, step.name)
        one.shell(READY, timeout_seconds=120)
        end_run(one.runner, probe_state(one.runner, ()))

    hand = _seconds(by_hand)
    for command in take_down(keep=False):
        one.runner.check(command)
    one.shell(
        "rm -f /etc/kubernetes/kubelab/*.yaml; cd /var/lib/kubelab/stamps; "
        "rm -f kubeadm-init encryption-key network network-definitions"
    )
    kubelab = _seconds(by_kubelab)
    return {"by_hand_to_dns": hand, "init_prepared_to_dns": kubelab, "ratio": round(kubelab / hand, 2)}


def _time(machine: Machine, *arguments: str, stdin: bytes | None = None) -> float:
    command = Command(("kubelab-host", *arguments), stdin=stdin, timeout_seconds=300)
    return _seconds(lambda: machine.runner.run(command))


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return round(time.monotonic() - began, 2)
