"""`kubelab cluster check` finds what is broken, by connections that fail: between two bare hosts over SSH."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kubelab_helpers.cluster.network import VXLAN_OVERHEAD_BYTES
from tests.hosts.outside import NAME, PORT, Outside, outside_world
from tests.hosts.ssh_hosts import SUBNET, SshHosts, kubectl, ssh_hosts
from tests.hosts.test_cluster_ssh import KUBELAB, kubelab

pytestmark = pytest.mark.slow


MTU = 1400


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHosts]:
    """A control plane and a worker to be."""
    with ssh_hosts("kl4s", ("control", "one"), tmp_path_factory.mktemp("operator")) as made:
        yield made


@pytest.fixture(scope="module")
def outside(bare: SshHosts, python_image: str) -> Iterator[Outside]:
    """A name server and a listener on their network."""
    with outside_world("kl4s", SUBNET.replace(".0/24", ".200"), python_image) as made:
        made.listen()
        yield made


@pytest.fixture(scope="module")
def hosts(bare: SshHosts, outside: Outside) -> SshHosts:
    """The cluster of the two, with an MTU that was chosen and that name server."""
    described: list[dict[str, object]] = [
        {"name": "control", "role": "control-plane"},
        {"name": "one", "role": "worker"},
    ]
    bare.describe("kl4s-check", described, {"nameservers": [outside.address], "mtu": MTU})
    kubelab(bare, "apply")
    return bare


def connections(hosts: SshHosts, *arguments: str) -> list[dict[str, Any]]:
    """Return every connection that is tried; the command's exit status must agree."""
    argv = [str(KUBELAB), "cluster", "check", *arguments, "-o", "json"]
    done = subprocess.run(argv, cwd=hosts.folder, capture_output=True, text=True, timeout=500, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode == 0) is found["ok"], done.stderr
    return list(found["connections"])


def failing(hosts: SshHosts) -> set[str]:
    """Return the ids of what fails."""
    return {each["id"] for each in connections(hosts) if not each["ok"]}


@pytest.fixture
def broken(hosts: SshHosts) -> Iterator[Callable[[str], None]]:
    """Return a function that adds a firewall rule on the worker; it is taken away afterwards."""
    one, rules = hosts.machines["one"], []

    def add(rule: str) -> None:
        one.shell(f"iptables -I INPUT {rule}")
        rules.append(rule)

    yield add
    for rule in rules:
        one.shell(f"iptables -D INPUT {rule}")


def test_a_sound_network_has_no_failure_and_keeps_nothing(hosts: SshHosts) -> None:
    assert failing(hosts) == set()
    left = kubectl(hosts.machines["control"], "get", "namespaces", "--output=name")
    assert "kubelab-check" not in left


def test_the_chosen_mtu_is_that_of_the_pod_network(hosts: SshHosts) -> None:
    """Less what VXLAN adds to each packet: on Flannel's device, and on each pod's, where CoreDNS runs."""
    wanted = str(MTU - VXLAN_OVERHEAD_BYTES)
    for machine in hosts.machines.values():
        assert machine.run("cat", "/sys/class/net/flannel.1/mtu").split() == [wanted]
        assert set(machine.shell("cat /sys/class/net/cali*/mtu 2>/dev/null || true").split()) <= {wanted}
    assert hosts.machines["control"].shell("cat /sys/class/net/cali*/mtu").split()


def test_a_name_of_outside_is_resolved_and_reached(hosts: SshHosts, outside: Outside) -> None:
    """By the name server that the cluster was given; when nobody listens there, that connection alone fails."""
    target = f"{NAME}:{PORT}"
    tried = connections(hosts, "--outside", target)
    assert [each["to"] for each in tried if each["id"] == "outside-names"] == [target]
    assert all(each["ok"] for each in tried)
    outside.stop_listening()
    try:
        failed = [each for each in connections(hosts, "--outside", target) if not each["ok"]]
    finally:
        outside.listen()
    assert [(each["id"], each["to"], each["said"]) for each in failed] == [("outside-names", target, "REFUSED")]


def test_full_packets_that_are_dropped_are_found(hosts: SshHosts, broken: Callable[[str], None]) -> None:
    """As where the way between hosts carries less than they believe."""
    broken("-p udp --dport 8472 -m length --length 1300:65535 -j DROP")
    assert failing(hosts) == {"full-packets"}


def test_a_closed_port_between_hosts_is_found(hosts: SshHosts, broken: Callable[[str], None]) -> None:
    broken("-p udp --dport 8472 -j DROP")
    found = failing(hosts)
    assert {"across-nodes", "full-packets"} <= found
    assert {"same-node", "host-port", "deny-all"}.isdisjoint(found)


def test_policies_without_effect_are_found(hosts: SshHosts) -> None:
    """Deleted as soon as they are there, which to a connection is the same as an engine that enforces none."""
    control, ended = hosts.machines["control"], threading.Event()

    def delete() -> None:
        while not ended.is_set():
            kubectl(control, "delete", "networkpolicies", "--all", "--namespace=kubelab-check")

    with ThreadPoolExecutor() as pool:
        deleting = pool.submit(delete)
        found = failing(hosts)
        ended.set()
        deleting.result(timeout=60)
    assert {"deny-all", "allow-dns", "allow-namespace"} <= found
    assert {"same-node", "across-nodes", "dns"}.isdisjoint(found)


def test_the_default_policies_are_put_into_a_namespace_that_is_there(hosts: SshHosts) -> None:
    control = hosts.machines["control"]
    assert "there is no namespace course" in kubelab(hosts, "isolate", "course", status=3).stderr
    kubectl(control, "create", "namespace", "course")
    kubelab(hosts, "isolate", "course")
    kubelab(hosts, "isolate", "course")
    found = kubectl(control, "get", "networkpolicies", "--namespace=course", "--output=name").split()
    assert len(found) == 3
