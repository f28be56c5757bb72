"""The cluster's network: real connections between pods, and policies that cut the one and leave the other."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from kubelab_helpers.cluster.connections import TITLES
from kubelab_helpers.release.deploy import NAMESPACE

from .hub import HubSession
from .kernel import open_kernel
from .lab import Lab, read_answer, run_kubelab
from .pods import CONNECT, PORT, Playground, Pod, describe_pod, find_pod, find_server, open_playground
from .waiting import wait_until

POLICY_TIMEOUT_SECONDS = 30.0
METADATA = ip_address("169.254.169.254")
API_PORT = 6443
BACKGROUND = """
import subprocess, sys
quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
subprocess.Popen([sys.executable, "-c", sys.argv[1]], start_new_session=True, **quiet)
"""


@dataclass(frozen=True)
class Pods:
    """One pod on the control plane, two on the worker, each serving its name on port 8080."""

    control: Pod
    worker: Pod
    neighbour: Pod


@pytest.fixture(scope="module")
def playground(lab: Lab) -> Iterator[Playground]:
    """A namespace for this file."""
    with open_playground(lab) as playground:
        yield playground


@pytest.fixture(scope="module")
def pods(lab: Lab, playground: Playground) -> Pods:
    """The pods between which connections are made."""
    nodes = {"control": lab.control_plane, "worker": lab.worker, "neighbour": lab.worker}
    started = playground.start(*(describe_pod(lab, name, host) for name, host in nodes.items()))
    return Pods(*started)


@pytest.fixture(scope="module")
def service(playground: Playground, pods: Pods) -> Any:
    """A Service of type NodePort in front of the pod on the worker."""
    return playground.expose(pods.worker, "front")


def _pairs(pods: Pods) -> list[tuple[Pod, Pod]]:
    return [(pods.control, pods.worker), (pods.worker, pods.control), (pods.worker, pods.neighbour)]


def test_pods_reach_each_other_across_nodes_and_on_one(pods: Pods) -> None:
    """In both directions between the nodes, and between two pods of one node."""
    assert [client.read(server.address) for client, server in _pairs(pods)] == [
        server.name for _, server in _pairs(pods)
    ]


def test_large_answers_cross_the_nodes(pods: Pods) -> None:
    """A megabyte arrives whole: packets of full size fit through the overlay's MTU."""
    send = (
        "import socket, threading\n"
        "listener = socket.create_server(('', 8081))\n"
        "connection, _ = listener.accept()\n"
        "connection.sendall(bytes(2**20)); connection.close()\n"
    )
    receive = (
        "import socket, sys, time\n"
        "deadline = time.monotonic() + 10\n"
        "while True:\n"
        "    try:\n"
        "        connection = socket.create_connection((sys.argv[1], 8081), timeout=5); break\n"
        "    except ConnectionRefusedError:\n"
        "        if time.monotonic() > deadline: raise\n"
        "        time.sleep(0.1)\n"
        "size = 0\n"
        "while part := connection.recv(65536): size += len(part)\n"
        "print(size, end='')\n"
    )
    pods.worker.python(BACKGROUND, send)
    assert pods.control.python(receive, pods.worker.address) == str(2**20)


def test_service_address_leads_to_its_pod(pods: Pods, service: Any) -> None:
    """From both nodes."""
    for pod in (pods.control, pods.neighbour):
        answer = wait_until("the Service has an endpoint", partial(_answer, pod, service.spec.cluster_ip), 20)
        assert answer == pods.worker.name


def _answer(pod: Pod, address: str) -> str:
    return pod.read(address, 80) if pod.connect(address, 80) == "open" else ""


def test_names_resolve_in_pods(lab: Lab, playground: Playground, pods: Pods, service: Any) -> None:
    """A Service of one's own by its short name, the hub's by its full one, from both nodes."""
    hub = lab.core.list_namespaced_service(NAMESPACE, label_selector="app.kubernetes.io/component=hub").items[0]
    full = f"{hub.metadata.name}.{NAMESPACE}.svc.cluster.local"
    for pod in (pods.control, pods.worker):
        assert pod.resolve(service.metadata.name) == service.spec.cluster_ip
        assert pod.resolve(f"{service.metadata.name}.{playground.name}") == service.spec.cluster_ip
        assert pod.resolve(full) == hub.spec.cluster_ip


def test_node_port_answers_on_every_node(lab: Lab, pods: Pods, service: Any) -> None:
    """From this machine, on the node with the pod and on the other one."""
    port = service.spec.ports[0].node_port
    for host in (lab.control_plane, lab.worker):
        with socket.create_connection((lab.spec.address_of(host.name), port), timeout=10) as connection:
            assert connection.recv(1024).decode() == pods.worker.name


@pytest.mark.parametrize("server", ["worker", "neighbour"])
def test_policy_cuts_one_path_and_its_removal_mends_it(server: str, playground: Playground, pods: Pods) -> None:
    """A NetworkPolicy that admits one client only keeps the other out, on one node and across nodes."""
    target: Pod = getattr(pods, server)
    admitted, refused = pods.neighbour, pods.control
    if target is pods.neighbour:
        admitted, refused = pods.control, pods.worker
    assert (admitted.connect(target.address), refused.connect(target.address)) == ("open", "open")
    only = {"from": [{"podSelector": {"matchLabels": {"app": admitted.name}}}]}
    name = f"only-{admitted.name}"
    playground.forbid(name, {"podSelector": {"matchLabels": {"app": target.name}}, "ingress": [only]})
    try:
        wait_until("the path is cut", lambda: refused.connect(target.address) == "timeout", POLICY_TIMEOUT_SECONDS)
        assert admitted.read(target.address) == target.name
        assert refused.connect(target.address) == "timeout"
    finally:
        playground.allow_again(name)
    wait_until("the path is open again", lambda: refused.connect(target.address) == "open", POLICY_TIMEOUT_SECONDS)
    assert admitted.read(target.address) == target.name


def test_egress_policy_leaves_only_what_it_names(playground: Playground, pods: Pods) -> None:
    """A pod that may talk to the control plane's pod only does so, and to nobody else."""
    allowed = {"to": [{"podSelector": {"matchLabels": {"app": pods.control.name}}}]}
    spec = {"podSelector": {"matchLabels": {"app": pods.worker.name}}, "policyTypes": ["Egress"], "egress": [allowed]}
    playground.forbid("egress", spec)
    try:
        wait_until(
            "the path is cut", lambda: pods.worker.connect(pods.neighbour.address) == "timeout", POLICY_TIMEOUT_SECONDS
        )
        assert pods.worker.read(pods.control.address) == pods.control.name
        assert pods.control.read(pods.neighbour.address) == pods.neighbour.name
    finally:
        playground.allow_again("egress")
    wait_until(
        "the path is open again", lambda: pods.worker.connect(pods.neighbour.address) == "open", POLICY_TIMEOUT_SECONDS
    )


def test_user_reaches_the_hub_and_nothing_else_in_the_cluster(
    lab: Lab, ada: HubSession, ben: HubSession, pods: Pods
) -> None:
    """From a cell: the hub's API is open; other servers, the proxy's API, the API server and other pods are not."""
    hub = find_pod(lab, {"app.kubernetes.io/component": "hub"})
    proxy = find_pod(lab, {"app.kubernetes.io/component": "proxy"})
    other = find_server(lab, ben.name)
    kubernetes = lab.core.read_namespaced_service("kubernetes", "default").spec.cluster_ip
    control = lab.spec.address_of(lab.control_plane.name)
    closed = [
        (other.address, 8888),
        (proxy.address, 8001),
        (kubernetes, 443),
        (control, API_PORT),
        (control, 10250),
        (pods.neighbour.address, PORT),
    ]
    # Each of them does listen: somebody who may reaches it.
    assert [hub.connect(*each) for each in closed[:4]] == ["open"] * 4
    assert [pods.control.connect(*each) for each in closed[4:]] == ["open"] * 2
    with open_kernel(ada) as kernel:

        def connect(address: str, port: int) -> str:
            return kernel.run(f"import sys; sys.argv = ['', {address!r}, '{port}']\n{CONNECT}").stdout

        assert connect(hub.address, 8081) == "open"
        assert [(each, connect(*each)) for each in closed] == [(each, "timeout") for each in closed]


def test_stranger_pod_reaches_neither_the_hub_nor_the_servers(lab: Lab, ada: HubSession, pods: Pods) -> None:
    """A pod of another namespace gets to the public proxy only."""
    hub = find_pod(lab, {"app.kubernetes.io/component": "hub"})
    proxy = find_pod(lab, {"app.kubernetes.io/component": "proxy"})
    server = find_server(lab, ada.name)
    assert pods.worker.connect(proxy.address, lab.proxy_port) == "open"
    targets = [(hub.address, 8081), (proxy.address, 8001), (server.address, 8888)]
    assert [pods.worker.connect(*each) for each in targets] == ["timeout"] * 3


def test_policies_of_user_pods_leave_the_metadata_address_out(lab: Lab, ada: HubSession) -> None:
    """No egress rule that selects a user's pod holds the address where clouds keep their credentials."""
    server = find_server(lab, ada.name)
    labels = lab.core.read_namespaced_pod(server.name, NAMESPACE).metadata.labels
    policies = lab.networking.list_namespaced_network_policy(NAMESPACE).items
    selecting = [each for each in policies if (each.spec.pod_selector.match_labels or {}).items() <= labels.items()]
    assert any("Egress" in each.spec.policy_types for each in selecting)
    rules = [rule for policy in selecting for rule in policy.spec.egress or []]
    assert rules
    assert not [rule for rule in rules if not rule.to], "a rule without peers admits every address"
    blocks = [peer.ip_block for rule in rules for peer in rule.to if peer.ip_block]
    assert blocks
    assert not [each.cidr for each in blocks if _holds_metadata(each)]


def _holds_metadata(block: Any) -> bool:
    excepted = [ip_network(each) for each in getattr(block, "_except", None) or []]
    return METADATA in ip_network(block.cidr) and not any(METADATA in each for each in excepted)


@pytest.mark.usefixtures("lab")
def test_cluster_check_finds_nothing_to_mend() -> None:
    """Every connection that an operator's check makes, on this cluster, whose policies and pods are the hub's too."""
    found = read_answer(run_kubelab("cluster", "check", "-o", "json", timeout_seconds=300))["connections"]
    assert {each["id"] for each in found} == set(TITLES) - {"outside-names"}
