"""The CNI configuration follows the node's facts; Canal's manifest holds what it needs and no more."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import yaml

from kubelab_helpers.cluster import network
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.change import Action
from kubelab_helpers.hosts.file import File
from tests.unit.hosts.support import ids, node_spec, recorded_facts

IMAGES = {"flannel": "localhost:5000/kubelab/flannel:v0", "calico-node": "localhost:5000/kubelab/calico-node:v0"}
DEFINITIONS = b"kind: CustomResourceDefinition\n"
CONTROL_PLANE = node_spec(name="control-1", role="control-plane", address="172.30.250.10")


def cni(**facts: object) -> dict[str, Any]:
    recorded = dataclasses.replace(recorded_facts("new-node"), **facts)  # type: ignore[arg-type]  # fields of HostFacts
    (file,) = network.desire_cni(recorded, node_spec())
    assert isinstance(file, File)
    assert file.path == "/etc/cni/net.d/10-kubelab.conflist"
    found: dict[str, Any] = json.loads(file.content)
    return found


def objects(images: dict[str, str] = IMAGES) -> list[Action]:
    changes = network.objects_step(images, DEFINITIONS).desire(recorded_facts("control-plane"), CONTROL_PLANE)
    actions = [each for each in changes if isinstance(each, Action)]
    assert len(actions) == len(changes)
    return actions


@pytest.fixture(scope="module")
def manifest() -> dict[tuple[str, str], Any]:
    """Return Canal's objects by kind and name, as the API server gets them."""
    text = objects()[-1].commands[0].stdin or b""
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(text)}


@pytest.mark.parametrize(("device_mtu", "pod_mtu"), [(1500, 1450), (1400, 1350), (9000, 8950)])
def test_the_mtu_leaves_room_for_vxlan(device_mtu: int, pod_mtu: int) -> None:
    assert cni(mtus={"eth0": device_mtu, "lo": 65536})["plugins"][0]["mtu"] == pod_mtu


def test_the_plugins() -> None:
    found = cni()
    assert [plugin["type"] for plugin in found["plugins"]] == ["calico", "portmap", "bandwidth"]
    calico = found["plugins"][0]
    assert calico["nodename"] == "worker-1"
    assert calico["ipam"] == {"type": "host-local", "subnet": "usePodCidr"}
    assert calico["policy"] == {"type": "k8s"}


def test_an_address_that_the_host_does_not_have_is_refused() -> None:
    with pytest.raises(BlockedError, match=r"no network device has the address 172\.30\.250\.11") as caught:
        cni(addresses=(("eth1", "192.0.2.7"),))
    assert "192.0.2.7" in caught.value.next_step


def test_the_objects(manifest: dict[tuple[str, str], Any]) -> None:
    assert set(manifest) == {
        ("Namespace", "kubelab-network"),
        ("ServiceAccount", "network"),
        ("ClusterRole", "kubelab-network"),
        ("ClusterRoleBinding", "kubelab-network"),
        ("ClusterRole", "kubelab-cni"),
        ("ClusterRoleBinding", "kubelab-cni"),
        ("ConfigMap", "flannel"),
        ("DaemonSet", "network"),
    }


def test_flannel_has_the_clusters_pod_network(manifest: dict[tuple[str, str], Any]) -> None:
    settings = json.loads(manifest["ConfigMap", "flannel"]["data"]["net-conf.json"])
    assert settings["Network"] == "10.244.0.0/16"
    assert settings["Backend"] == {"Type": "vxlan", "Port": 8472}


def test_the_agents_run_everywhere_and_reach_the_api_by_name(
    manifest: dict[tuple[str, str], Any],
) -> None:
    """They run before any Service works, on nodes that are not Ready yet."""
    pod = manifest["DaemonSet", "network"]["spec"]["template"]["spec"]
    assert pod["hostNetwork"] is True
    assert pod["tolerations"] == [{"operator": "Exists"}]
    for container in [*pod["initContainers"], *pod["containers"]]:
        environment = {each["name"]: each.get("value") for each in container["env"]}
        assert environment["KUBERNETES_SERVICE_HOST"] == "kubelab.kubelab.internal"
        assert container["image"] in IMAGES.values()
        assert container["resources"]["limits"]["memory"]


def test_flannel_is_not_privileged(manifest: dict[tuple[str, str], Any]) -> None:
    containers = manifest["DaemonSet", "network"]["spec"]["template"]["spec"]["containers"]
    (flannel,) = [each for each in containers if each["name"] == "flannel"]
    assert flannel["securityContext"] == {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}


def test_every_cni_call_can_read_cluster_information(manifest: dict[tuple[str, str], Any]) -> None:
    """Without it every sandbox creation fails."""
    rules = manifest["ClusterRole", "kubelab-cni"]["rules"]
    readable = {resource for rule in rules if "get" in rule["verbs"] for resource in rule["resources"]}
    assert {"clusterinformations", "namespaces"} <= readable


def test_nobody_gets_every_right(manifest: dict[tuple[str, str], Any]) -> None:
    rules = [rule for (kind, _), each in manifest.items() if kind == "ClusterRole" for rule in each["rules"]]
    assert all("*" not in rule["verbs"] and "*" not in rule["apiGroups"] for rule in rules)
    readable = {resource for rule in rules for resource in rule["resources"]}
    assert "secrets" not in readable


def test_definitions_come_before_what_uses_them() -> None:
    definitions, canal = objects()
    assert ids([definitions, canal]) == ["action:network-definitions", "action:network"]
    assert definitions.commands[0].stdin == DEFINITIONS


def test_another_image_is_applied_again() -> None:
    assert objects()[-1].stamp == objects()[-1].stamp
    assert objects()[-1].stamp != objects({**IMAGES, "flannel": "localhost:5000/kubelab/flannel:v1"})[-1].stamp


def test_a_chosen_mtu_holds_for_pods_and_for_flannel() -> None:
    """A tunnel between the hosts takes some of what their devices say."""
    spec = node_spec(mtu=1400)
    (file,) = network.desire_cni(recorded_facts("new-node"), spec)
    assert isinstance(file, File)
    assert json.loads(file.content)["plugins"][0]["mtu"] == 1350
    _, apply = network.objects_step(IMAGES, b"").desire(recorded_facts("new-node"), spec)
    documents = yaml.safe_load_all(apply.operations()[0].stdin or b"")
    settings = next(each["data"]["net-conf.json"] for each in documents if each["kind"] == "ConfigMap")
    assert json.loads(settings)["Backend"] == {"Type": "vxlan", "Port": 8472, "MTU": 1400}


def test_a_host_without_a_default_route_gets_the_ways_it_lacks() -> None:
    """Pods there get no answer for their gateway, and the host's programs none from Services."""
    facts = recorded_facts("new-node")
    assert [each.id for each in network.desire_cni(facts, node_spec())] == [f"file:{network.CNI_CONFIGURATION}"]
    gapped = dataclasses.replace(facts, default_devices=())
    unit, enabled, _ = network.desire_cni(gapped, node_spec())
    assert isinstance(unit, File)
    assert b"ip route replace 169.254.1.1/32 dev eth0\n" in unit.content
    assert b"ip route replace 10.96.0.0/12 dev eth0 src 172.30.250.11\n" in unit.content
    assert enabled.id == "unit:kubelab-routes.service"


def test_another_network_that_would_be_used_is_refused_and_set_aside_when_asked() -> None:
    """A kubeconfig of its beside it is no configuration, and one that comes later is never read."""
    files = ("/etc/cni/net.d/05-theirs.conflist", "/etc/cni/net.d/99-late.conf", "/etc/cni/net.d/calico-kubeconfig")
    facts = dataclasses.replace(recorded_facts("new-node"), cni_files=files)
    with pytest.raises(BlockedError, match="another pod network comes first: /etc"):
        network.desire_cni(facts, node_spec())
    changes = network.desire_cni(facts, node_spec(replace_network=True))
    assert ids(changes)[:2] == ["no-file:/etc/cni/net.d/05-theirs.conflist", "no-file:/etc/cni/net.d/99-late.conf"]
    assert len(changes) == 3
    late = dataclasses.replace(facts, cni_files=files[1:])
    assert len(network.desire_cni(late, node_spec())) == 1
