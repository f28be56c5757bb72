"""Three control planes and no load balancer: one is killed, and nobody notices; it comes back, or is replaced."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.hosts.ssh_hosts import DEPLOYMENT_IMAGE, SshHosts, kubectl, ssh_hosts, stop_container
from tests.hosts.test_cluster_ssh import answer, kubelab
from tests.hosts.waiting import wait_until

pytestmark = pytest.mark.slow

CLUSTER = "kl4s-ha"
CONTROL_PLANES = ("first", "second", "third")
GRACE_SECONDS = 90
"""kube-controller-manager takes a silent node for lost after 50 s (--node-monitor-grace-period)."""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHosts]:
    """Three control planes and a worker, made in one go."""
    with ssh_hosts("kl4s", (*CONTROL_PLANES, "worker"), tmp_path_factory.mktemp("operator")) as made:
        entries: list[dict[str, object]] = [{"name": name, "role": "control-plane"} for name in CONTROL_PLANES]
        made.describe(CLUSTER, [*entries, {"name": "worker", "role": "worker"}])
        kubelab(made, "apply")
        yield made


def ready(hosts: SshHosts, asked: str) -> dict[str, bool]:
    """Return which nodes are Ready, asked of one control plane's own kubectl."""
    template = '{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}'
    said = kubectl(hosts.machines[asked], "get", "nodes", f"--output=jsonpath={template}")
    return {name: state == "True" for name, _, state in (each.partition("=") for each in said.split())}


def test_every_control_plane_is_whole(hosts: SshHosts) -> None:
    """Each has its own address in its flags, the same key for Secrets, and votes in etcd."""
    status = answer(hosts, "status")
    assert status["healthy"]
    assert {member["name"] for member in status["etcd"] if not member["learner"]} == set(CONTROL_PLANES)
    keys = {hosts.machines[name].shell("cat /etc/kubernetes/kubelab/encryption.yaml") for name in CONTROL_PLANES}
    assert len(keys) == 1
    for name in CONTROL_PLANES:
        machine = hosts.machines[name]
        listening = machine.shell("ss -ltnH | awk '{print $4}'").split()
        for port in (2381, 10257, 10259):
            assert f"{machine.address}:{port}" in listening


def test_dns_is_on_more_than_one_node(hosts: SshHosts) -> None:
    placed = kubectl(
        hosts.machines["first"],
        "get",
        "pods",
        "--namespace=kube-system",
        "--selector=k8s-app=kube-dns",
        "--output=jsonpath={.items[*].spec.nodeName}",
    )
    assert len(set(placed.split())) > 1


def test_apply_again_changes_nothing(hosts: SshHosts) -> None:
    assert "Nothing changed." in kubelab(hosts, "apply").stdout


def test_the_cluster_goes_on_without_its_first_control_plane(
    hosts: SshHosts, record_property: Callable[[str, object], None]
) -> None:
    """Every name of the endpoint has the dead one's address too, the worker's even first."""
    stop_container(hosts.machines["first"], "kill")
    began = time.monotonic()
    silent = 0.0
    while time.monotonic() - began < GRACE_SECONDS:
        asked = time.monotonic()
        nodes = ready(hosts, "second")
        silent = max(silent, time.monotonic() - asked)
        assert nodes["second"]
        assert nodes["third"]
        assert nodes["worker"]
        time.sleep(2)
    record_property("longest_answer_seconds", round(silent, 1))
    assert not ready(hosts, "second")["first"]


def test_new_pods_are_placed_and_the_network_takes_them_in(
    hosts: SshHosts, record_property: Callable[[str, object], None]
) -> None:
    """Also where the network's own pod begins anew, which must find another control plane than the first it knows."""
    second = hosts.machines["second"]
    of_network = ("--namespace=kubelab-network", "--field-selector=spec.nodeName=worker")
    kubectl(second, "delete", "pods", "--wait=true", "--selector=app.kubernetes.io/name=network", *of_network)
    began = time.monotonic()
    kubectl(second, "create", "deployment", "probe", f"--image={DEPLOYMENT_IMAGE}", "--replicas=2")
    kubectl(second, "rollout", "status", "deployment/probe", "--timeout=100s")
    record_property("seconds", round(time.monotonic() - began, 1))


def test_status_says_what_is_down_and_quorum_is_kept(hosts: SshHosts) -> None:
    said = kubelab(hosts, "status", status=1).stdout
    assert "does NOT answer" in said
    assert "NOT ready" in said
    refused = kubelab(hosts, "remove", "second", "--yes", status=3).stderr
    assert "of the 2 members that etcd would have left, 1 answer" in refused


def test_the_killed_one_comes_back(hosts: SshHosts, record_property: Callable[[str, object], None]) -> None:
    stop_container(hosts.machines["first"], "start")
    seconds = wait_until(lambda: all(ready(hosts, "second").values()), 120, "all nodes are Ready")
    record_property("seconds", round(seconds, 1))
    wait_until(lambda: answer_any(hosts), 60, "every member of etcd answers")
    assert "Nothing changed." in kubelab(hosts, "apply").stdout


def answer_any(hosts: SshHosts) -> bool:
    try:
        return bool(answer(hosts, "status")["healthy"])
    except AssertionError:
        return False


def test_a_lost_control_plane_is_removed_and_the_founder_can_join(hosts: SshHosts) -> None:
    """The machine on which the cluster began is set up anew: it joins the others, and begins no second cluster."""
    kubelab(hosts, "remove", "first", "--yes")
    assert {member["name"] for member in answer_of_two(hosts)} == {"second", "third"}
    kubelab(hosts, "add", "first")
    status = answer(hosts, "status")
    assert {member["name"] for member in status["etcd"]} == set(CONTROL_PLANES)
    stop_container(hosts.machines["third"], "kill")
    kubelab(hosts, "remove", "third", "--yes", "--lost")
    assert {member["name"] for member in answer_of_two(hosts)} == {"first", "second"}


def answer_of_two(hosts: SshHosts) -> list[dict[str, object]]:
    """Return etcd's members while one host of the file is not in the cluster, which status counts as not well."""
    import json

    found: list[dict[str, object]] = json.loads(kubelab(hosts, "status", "-o", "json", status=1).stdout)["etcd"]
    return found
