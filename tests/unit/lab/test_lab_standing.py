"""The cluster that stands on a host, read from it again: what `kubelab-host upgrade` works on."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.lab.standing import describe_standing
from tests.unit.hosts.support import Answering, recorded_facts

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
