"""A cluster from bare hosts over OpenSSH: made, made again, one taken in, one let go, and connections that break."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelab_helpers.hosts.ledger import read_ledger
from tests.hosts.snapshot import SSH, take_strict_snapshot
from tests.hosts.ssh_hosts import DEPLOYMENT_IMAGE, SshHosts, kubectl, ssh_hosts
from tests.hosts.waiting import wait_until

pytestmark = pytest.mark.slow

CLUSTER = "kl4s-lab"
KUBELAB = Path(sys.executable).with_name("kubelab")
CONTROL: dict[str, object] = {"name": "control", "role": "control-plane", "ssh": {"user": "root"}}
ONE: dict[str, object] = {"name": "one", "role": "worker", "ssh": {"user": "anna"}}
TWO: dict[str, object] = {"name": "two", "role": "worker", "ssh": {"user": "root", "jump": "anna@172.30.235.10"}}
THREE: dict[str, object] = {"name": "three", "role": "worker", "ssh": {"user": "root"}}
BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: probe}
spec: {minAvailable: 3, selector: {matchLabels: {app: probe}}}
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHosts]:
    """Four bare hosts; SSH reaches the one called two only from the one called control."""
    folder = tmp_path_factory.mktemp("operator")
    with ssh_hosts("kl4s", ("control", "one", "two", "three"), folder) as made:
        made.machines["two"].shell(
            "iptables -A INPUT -p tcp --dport 22 ! -s 172.30.235.10 -j REJECT --reject-with tcp-reset"
        )
        made.describe(CLUSTER, [CONTROL, ONE, TWO])
        yield made


def kubelab(hosts: SshHosts, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `kubelab cluster` as the operator and require an exit status."""
    done = subprocess.run(
        [str(KUBELAB), "cluster", *arguments],
        cwd=hosts.folder,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done


def answer(hosts: SshHosts, *arguments: str) -> Any:
    """Return the JSON that a command answers with."""
    return json.loads(kubelab(hosts, *arguments, "-o", "json").stdout)


def journal(hosts: SshHosts, name: str) -> str:
    return hosts.machines[name].shell("cat /var/lib/kubelab/journal.jsonl 2>/dev/null || true")


def ready_nodes(hosts: SshHosts) -> dict[str, bool]:
    return {node["name"]: node.get("ready", False) for node in answer(hosts, "status")["nodes"]}


def test_a_plan_writes_nothing_and_names_every_host(hosts: SshHosts) -> None:
    """Files, times and contents are those of before, but for what SSH notes of every login."""
    before = {name: take_strict_snapshot(machine, SSH) for name, machine in hosts.machines.items()}
    stages = {each["stage"]: each["hosts"] for each in answer(hosts, "plan")["stages"]}
    assert list(stages["prepare"]) == ["control", "one", "two"]
    assert list(stages["control plane"]) == ["control"]
    assert all(stages["workers"][name] for name in ("one", "two"))
    for name, machine in hosts.machines.items():
        assert take_strict_snapshot(machine, SSH) == before[name]


def test_unfit_hosts_are_named_before_any_is_touched(hosts: SshHosts) -> None:
    """One of a distribution that nobody knows, one that another tool made a node: the third is left bare as well."""
    one, two = hosts.machines["one"], hosts.machines["two"]
    one.shell("mv /etc/os-release /etc/os-release.kept; printf 'ID=plan9\\nVERSION_ID=4\\n' > /etc/os-release")
    two.shell("mkdir /etc/kubernetes; echo theirs > /etc/kubernetes/kubelet.conf")
    try:
        for command in ("plan", "apply"):
            said = kubelab(hosts, command, status=3).stderr
            assert "one: a distribution that kubelab does not know (distribution)" in said
            assert "two: another cluster's node (cluster): /etc/kubernetes/kubelet.conf" in said
        assert two.shell("cat /etc/kubernetes/kubelet.conf") == "theirs\n"
    finally:
        one.shell("mv -f /etc/os-release.kept /etc/os-release")
        two.shell("rm -r /etc/kubernetes")
    for machine in hosts.machines.values():
        assert machine.shell("ls /var/lib/kubelab /etc/kubernetes 2>/dev/null || true") == ""


def test_three_bare_hosts_become_a_cluster(hosts: SshHosts, record_property: Callable[[str, object], None]) -> None:
    """As root, as a user with sudo, and through a jump host; none of them has Python."""
    for machine in hosts.machines.values():
        assert machine.shell("command -v python3 python || true") == ""
    began = time.monotonic()
    kubelab(hosts, "apply")
    record_property("seconds", round(time.monotonic() - began, 1))
    assert ready_nodes(hosts) == {"control": True, "one": True, "two": True}


def test_secrets_are_in_no_journal(hosts: SshHosts) -> None:
    key = hosts.machines["control"].shell("awk '/secret:/ {print $NF}' /etc/kubernetes/kubelab/encryption.yaml")
    secret = key.strip().strip("}]")
    assert len(secret) > 40
    for name in hosts.machines:
        said = journal(hosts, name)
        assert secret not in said
        assert "token:" not in said


def test_apply_again_changes_nothing(hosts: SshHosts, record_property: Callable[[str, object], None]) -> None:
    before = {name: journal(hosts, name) for name in hosts.machines}
    began = time.monotonic()
    assert "Nothing changed." in kubelab(hosts, "apply").stdout
    record_property("seconds", round(time.monotonic() - began, 1))
    assert {name: journal(hosts, name) for name in hosts.machines} == before
    planned = [change for stage in answer(hosts, "plan")["stages"] for change in stage["changes"]]
    assert planned == []


HOLD = """
import sys
from pathlib import Path
from kubelab_helpers.cluster.spec import read_spec
from kubelab_helpers.hosts.lock import hold_host_lock
from kubelab_helpers.hosts.ssh import SshRunner
host = read_spec(Path(sys.argv[1])).hosts[0]
with hold_host_lock(SshRunner(host.name, host.ssh)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_operator_waits_and_a_killed_one_blocks_nobody(hosts: SshHosts) -> None:
    """The other operator works from another machine: only the lock on the host stands between them."""
    argv = [sys.executable, "-c", HOLD, str(hosts.file)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        said = kubelab(hosts, "apply", status=3).stderr
        assert f"(process {other.pid}, since " in said
        os.kill(other.pid, signal.SIGKILL)
        other.wait(timeout=10)
    wait_until(lambda: "Nothing changed." in kubelab_any(hosts, "apply"), 30, "the lock is free")


def kubelab_any(hosts: SshHosts, *arguments: str) -> str:
    argv = [str(KUBELAB), "cluster", *arguments]
    done = subprocess.run(argv, cwd=hosts.folder, capture_output=True, text=True, timeout=500, check=False)
    return done.stdout


def begin_add(hosts: SshHosts, lines: int) -> subprocess.Popen[str]:
    """Begin to take the host called three in, and return once so many lines more are in its journal."""
    before = journal(hosts, "three").count("\n")
    process = subprocess.Popen(
        [str(KUBELAB), "cluster", "add", "three"],
        cwd=hosts.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: journal(hosts, "three").count("\n") >= before + lines, 240, "the work has begun")
    return process


def test_a_connection_that_is_lost_for_good_is_told_and_the_same_command_converges(hosts: SshHosts) -> None:
    hosts.describe(CLUSTER, [CONTROL, ONE, TWO, THREE])
    process = begin_add(hosts, 20)
    hosts.machines["three"].shell("systemctl kill --kill-who=all --signal=KILL ssh; systemctl stop ssh")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 4, said
    assert "the SSH connection to three was lost" in said
    assert "the same command again" in said
    hosts.machines["three"].shell("systemctl start ssh")
    kubelab(hosts, "add", "three")
    assert ready_nodes(hosts)["three"]


def test_a_drain_that_a_budget_forbids_removes_nothing(hosts: SshHosts) -> None:
    control = hosts.machines["control"]
    kubectl(control, "create", "deployment", "probe", f"--image={DEPLOYMENT_IMAGE}", "--replicas=3")
    kubectl(control, "rollout", "status", "deployment/probe", "--timeout=90s")
    kubectl(control, "apply", "--filename=-", stdin=BUDGET)
    placed = kubectl(control, "get", "pods", "--output=jsonpath={.items[*].spec.nodeName}").split()
    assert "three" in placed
    said = kubelab(hosts, "remove", "three", "--yes", "--drain-seconds=8", status=3).stderr
    assert "three was not drained within 8 s" in said
    assert "disruption budget" in said
    assert "three" in ready_nodes_any(hosts)
    kubectl(control, "delete", "poddisruptionbudget", "probe")


def ready_nodes_any(hosts: SshHosts) -> list[str]:
    said = kubectl(hosts.machines["control"], "get", "nodes", "--output=jsonpath={.items[*].metadata.name}")
    return said.split()


def test_a_removed_host_is_as_it_was(hosts: SshHosts, record_property: Callable[[str, object], None]) -> None:
    control, three = hosts.machines["control"], hosts.machines["three"]
    began = time.monotonic()
    kubelab(hosts, "remove", "three", "--yes")
    record_property("seconds", round(time.monotonic() - began, 1))
    assert ready_nodes_any(hosts) == ["control", "one", "two"]
    kubectl(control, "rollout", "status", "deployment/probe", "--timeout=90s")
    left = three.shell(
        "ls -d /etc/kubernetes /etc/cni /opt/cni /etc/containerd /usr/local/bin/kubelet /var/lib/etcd /run/flannel "
        "2>/dev/null || true; grep kubelab /etc/hosts || true; nft list ruleset | grep -E 'KUBE-|FLANNEL|cali' || true"
    )
    assert left == ""
    assert kubelab(hosts, "remove", "three", "--yes").stdout.splitlines() == ["0 changes on host three"]


def test_ctrl_c_ends_after_the_change_at_hand(hosts: SshHosts) -> None:
    """No change is left half made: the journal has an end to each."""
    process = begin_add(hosts, 12)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 4, said
    ledger = read_ledger(journal(hosts, "three").splitlines())
    assert ledger.entries
    assert ledger.unfinished == frozenset()


def test_a_short_interruption_is_bridged(hosts: SshHosts) -> None:
    """Every connection to the host breaks in the middle of the work; the command goes on by itself."""
    process = begin_add(hosts, 12)
    hosts.machines["three"].shell("systemctl kill --kill-who=all --signal=KILL ssh; systemctl restart ssh")
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, f"{out}\n{said}"
    assert ready_nodes(hosts)["three"]


def test_an_unknown_host_key_and_a_changed_one_are_refused(hosts: SshHosts) -> None:
    """Without `acceptNewHostKey` nothing is taken on trust; with it a changed key is refused all the same."""
    strict: dict[str, object] = {**CONTROL, "ssh": {"user": "root", "acceptNewHostKey": False}}
    hosts.describe(CLUSTER, [strict])
    hosts.known_hosts.write_text("")
    said = kubelab(hosts, "plan", status=3).stderr
    assert "has a host key that nobody has seen yet" in said
    assert "compare the fingerprint: `ssh -o UserKnownHostsFile=" in said
    hosts.describe(CLUSTER, [CONTROL])
    address = hosts.machines["control"].address
    key = hosts.machines["one"].shell("cat /etc/ssh/ssh_host_ed25519_key.pub").strip()
    hosts.known_hosts.write_text(f"{address} {key}\n")
    said = kubelab(hosts, "plan", status=3).stderr
    assert "shows another host key than the one in" in said
    assert f"ssh-keygen -R {address}" in said


def test_sudo_with_a_password_is_refused(hosts: SshHosts) -> None:
    hosts.known_hosts.write_text("")
    hosts.describe(CLUSTER, [{**CONTROL, "ssh": {"user": "guest"}}])
    said = kubelab(hosts, "plan", status=3).stderr
    assert "guest is not root, and sudo asks for a password" in said
    assert "NOPASSWD" in said
