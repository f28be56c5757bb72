"""The cluster that begins on a host, that it joins, or that stands on it: what `kubelab-host` works on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.cli.kubelab_host import app
from kubelab_helpers.cluster.spec import LabSpec
from kubelab_helpers.cluster.ticket import Ticket, encode_ticket
from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.spec import Role
from kubelab_helpers.lab import fitness, preview
from kubelab_helpers.lab import standing as standing_lab
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.preview import preview_join
from kubelab_helpers.lab.standing import HostOptions, describe_cluster, describe_member, describe_standing
from tests.unit.hosts.support import RECORDED, Answering, bare_host, node_spec, recorded_facts

from .support import make_lab

FACTS = recorded_facts("control-plane")
ADDRESS = FACTS.addresses[0][1]
CONFIGURATION = {
    "clusterName": "physics",
    "controlPlaneEndpoint": "api.physics.example:6443",
    "networking": {"podSubnet": "10.9.0.0/16", "serviceSubnet": "10.100.0.0/16"},
    "apiServer": {"certSANs": [ADDRESS, "api.physics.example", "127.0.0.1", "localhost", "k8s.example.org"]},
}


def node(name: str, address: str, role: str = "control-plane") -> dict[str, Any]:
    labels = {"node-role.kubernetes.io/control-plane": ""} if role == "control-plane" else {}
    addresses = [{"type": "InternalIP", "address": address}]
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {"nodeInfo": {"kubeletVersion": "v1.36.3"}, "addresses": addresses},
    }


def standing(*nodes: dict[str, Any]) -> Answering:
    """Return a host whose cluster has these nodes."""

    def answer(command: Command) -> bytes:
        if "configmaps" in command.argv:
            data = {"ClusterConfiguration": yaml.safe_dump(CONFIGURATION)}
            return json.dumps({"items": [{"data": data}]}).encode()
        if "nodes" in command.argv:
            return json.dumps({"items": nodes}).encode()
        return b"192.0.2.53\n192.0.2.54\n" if "sed" in command.argv else b""

    return Answering(answer)


def test_what_it_was_made_with_is_read_from_it() -> None:
    spec = describe_standing(standing(node("one", ADDRESS)), FACTS, "1.37.2", "auto", None)
    assert [(host.name, host.role, host.address, host.local) for host in spec.hosts] == [
        ("one", "control-plane", ADDRESS, True)
    ]
    assert (spec.name, spec.endpoint) == ("physics", "api.physics.example:6443")
    assert (spec.pod_cidr, spec.service_cidr) == ("10.9.0.0/16", "10.100.0.0/16")
    assert spec.nameservers == ("192.0.2.53", "192.0.2.54")
    assert spec.certificate_sans == ("k8s.example.org",), "those that init adds itself are not added twice"


def test_a_cluster_of_several_hosts_is_shown_how_to_be_described() -> None:
    runner = standing(node("one", ADDRESS), node("two", "192.0.2.12", "worker"))
    with pytest.raises(BlockedError, match="other nodes than this host: two") as caught:
        describe_standing(runner, FACTS, None, "auto", None)
    described = yaml.safe_load(caught.value.next_step.partition("\n")[2])
    assert described == {
        "name": "physics",
        "endpoint": "api.physics.example",
        "hosts": [
            {"name": "one", "role": "control-plane", "address": ADDRESS, "local": True},
            {"name": "two", "role": "worker", "address": "192.0.2.12", "ssh": {"user": "root"}},
        ],
    }


def test_a_version_that_is_not_carried_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="carries no parts of Kubernetes"):
        describe_standing(standing(node("one", ADDRESS)), FACTS, "1.30.0", "auto", None)


def begin(facts: HostFacts) -> LabSpec:
    pods, services = "10.244.0.0/16", "10.96.0.0/12"
    return describe_cluster(
        facts, HostOptions(), cluster="kubelab", endpoint=None, pod_cidr=pods, service_cidr=services
    )


NEW = recorded_facts("new-node")
NEW_ADDRESS = NEW.addresses[0][1]


@pytest.mark.parametrize(
    ("hostname", "said"), [("Upper", "did you mean upper?"), ("n" * 64, "has 64 characters"), ("a_b", "RFC 1123")]
)
def test_a_name_that_kubernetes_does_not_take_is_refused(hostname: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=f"{hostname}: .*{said.replace('?', '.')}"):
        begin(dataclasses.replace(NEW, hostname=hostname))


def test_a_host_with_ipv6_alone_is_told_so() -> None:
    """As the check tells it: no --address could help."""
    facts = dataclasses.replace(NEW, addresses=(), addresses6=(("eth0", "2001:db8::1"),), default_devices=())
    with pytest.raises(BlockedError, match=r"only IPv6 addresses \(address\): 2001:db8::1") as caught:
        begin(facts)
    assert caught.value.next_step == "give it an IPv4 address: kubelab's network is IPv4"


def test_an_address_among_several_is_to_be_named() -> None:
    facts = dataclasses.replace(NEW, addresses=(("eth0", "192.0.2.1"), ("eth1", "198.51.100.1")), default_devices=())
    with pytest.raises(InvalidInputError, match="the node's address is not clear"):
        begin(facts)


def ticket(*nodes: tuple[str, str], role: Role = "worker") -> Ticket:
    return Ticket(
        cluster="physics",
        endpoint="physics.kubelab.internal:6443",
        kubernetes_version="1.37.2",
        pod_cidr="10.9.0.0/16",
        service_cidr="10.100.0.0/16",
        control_planes=("192.0.2.10",),
        token="token",
        ca_hash="hash",
        role=role,
        nodes=(("control-1", "192.0.2.10"), *nodes),
    )


@pytest.mark.parametrize("nodes", [[], [("worker-1", NEW_ADDRESS)]])
def test_a_new_host_joins_and_one_whose_join_was_cut_off_goes_on(nodes: list[tuple[str, str]]) -> None:
    spec = describe_member(NEW, HostOptions(), ticket(*nodes))
    assert (spec.hosts[-1].name, spec.hosts[-1].address) == ("worker-1", NEW_ADDRESS)


@pytest.mark.parametrize("twin", [("worker-1", "192.0.2.77"), ("another", NEW_ADDRESS)])
def test_a_host_whose_name_or_address_another_node_has_is_refused(twin: tuple[str, str]) -> None:
    said = f"the cluster physics has a node {twin[0]} at {twin[1]}, and this host is worker-1 at {NEW_ADDRESS}"
    with pytest.raises(BlockedError, match=said) as caught:
        describe_member(NEW, HostOptions(), ticket(twin))
    assert f"kubectl delete node {twin[0]}" in caught.value.next_step


@pytest.fixture
def joining(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return the lab of a bare host that holds a ticket; the parts are there."""
    lab = make_lab(tmp_path, describe_member(NEW, HostOptions(), ticket()))
    monkeypatch.setattr(Store, "missing", lambda *_: [])
    monkeypatch.setattr(Lab, "parts", lambda _: {})
    monkeypatch.setattr(Lab, "node", lambda _, host, __: node_spec(name=host.name, address=host.address))
    facts = (RECORDED / "new-node.txt").read_bytes()
    lab._runners["worker-1"] = Answering(lambda command: facts if command.argv[3:] == ("host",) else b"")
    monkeypatch.setattr("kubelab_helpers.lab.standing.snapshots_step", lambda _: None)
    return lab


def test_a_join_is_previewed_without_credentials_and_without_writing(joining: Lab) -> None:
    found = {each.stage: each.changes or () for each in preview_join(joining)}
    assert list(found) == ["parts", "prepare", "join"]
    assert len(found["prepare"]) > 30
    assert found["join"] == ("worker-1: kubeadm join kubelab at kubelab.kubelab.internal:6443",)
    runner: Any = joining._runners["worker-1"]
    assert all(each.argv[3] in {"host", "state"} for each in runner.asked)


def test_the_command_line_previews_a_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing_lab, "probe_standing", lambda _: NEW)
    monkeypatch.setattr(standing_lab, "join_cluster", lambda *_: pytest.fail("it joins"))
    monkeypatch.setattr(fitness, "require_fit", lambda *_: None)
    monkeypatch.setattr(preview, "preview_join", lambda _: [preview.Preview("join", ("worker-1: kubeadm join",))])
    done = CliRunner().invoke(app, ["join", "--dry-run", "-o", "json"], input=encode_ticket(ticket()))
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["host"], answer["stages"][0]["changes"]) == ("worker-1", ["worker-1: kubeadm join"])


def test_missing_parts_hide_what_a_join_would_do(joining: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "missing", lambda *_: ["kubelet"])
    found = {each.stage: each.changes for each in preview_join(joining)}
    assert found == {"parts": ("make kubelet",), "prepare": None, "join": None}


def begin_on(version: str | None = None, ignored: tuple[str, ...] = (), **facts: Any) -> LabSpec:
    """Return the cluster that `kubelab-host init` would begin on a host with these facts."""
    options = HostOptions(name="one", address="172.30.250.11", kubernetes_version=version)
    return describe_cluster(
        dataclasses.replace(bare_host(), **facts),
        options,
        cluster="physics",
        endpoint=None,
        pod_cidr="10.244.0.0/16",
        service_cidr="10.96.0.0/12",
        ignored=ignored,
    )


@pytest.mark.parametrize("kernel", ["5.4.0-216-generic", "5.14.0-570.12.1.el9_6.x86_64", "6.18.44"])
def test_a_usual_host_begins_with_the_newest(kernel: str) -> None:
    assert begin_on(kernel=kernel).kubernetes_version == "1.37.2"
    assert begin_on("1.36.3", kernel=kernel).kubernetes_version == "1.36.3"


@pytest.mark.parametrize("version", [None, "1.36.3", "1.37.2"])
def test_a_host_that_can_run_none_is_refused_with_the_nearest(version: str | None) -> None:
    with pytest.raises(BlockedError, match=r"it needs Linux 5\.4, and this is 4\.18\.0") as caught:
        begin_on(version, kernel="4.18.0-553.el8_10")
    assert "Kubernetes 1.31 with containerd 2.4.2" in caught.value.next_step
    known_better = begin_on(version, ignored=("kubernetes",), kernel="4.18.0-553.el8_10")
    assert known_better.kubernetes_version == (version or "1.37.2")


def test_a_version_without_parts_is_refused_at_the_beginning_too() -> None:
    with pytest.raises(InvalidInputError, match=r"carries no parts of Kubernetes 1\.30\.0"):
        begin_on("1.30.0")
