"""kubeadm's configuration as kubeadm reads it: parsed, not compared as text."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import yaml

from kubelab_helpers.cluster import kubeadm
from kubelab_helpers.cluster.credentials import issue_credentials
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.change import Action, Change
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.file import File
from kubelab_helpers.hosts.plan import desire, plan
from kubelab_helpers.hosts.state import FileState, HostState
from tests.unit.hosts.support import Answering, bare_host, ids, node_spec, recorded_facts

TOKEN = "abcdef.0123456789abcdef"
CREDENTIALS = kubeadm.JoinCredentials(TOKEN, "sha256:" + "c" * 64)
CONTROL_PLANE = {"name": "control-1", "role": "control-plane", "address": "172.30.250.10"}


def init_changes(facts: HostFacts, *, schedulable: bool = False, **spec: object) -> list[Change]:
    step = kubeadm.init_step(schedulable, "3.7.3", "v1.14.6")
    return step.desire(facts, node_spec(**CONTROL_PLANE, **spec))


def init_documents(facts: HostFacts, *, schedulable: bool = False, **spec: object) -> dict[str, Any]:
    """Return kubeadm's configuration documents by kind."""
    file = init_changes(facts, schedulable=schedulable, **spec)[0]
    assert isinstance(file, File)
    assert file.mode == 0o600
    return {document["kind"]: document for document in yaml.safe_load_all(file.content)}


def arguments(component: dict[str, Any]) -> dict[str, str]:
    """Return a component's extraArgs; every value is a string, as v1beta4 wants."""
    assert all(isinstance(each["value"], str) for each in component["extraArgs"])
    return {each["name"]: each["value"] for each in component["extraArgs"]}


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    return init_documents(recorded_facts("control-plane"))


def test_the_kinds_of_documents(documents: dict[str, Any]) -> None:
    kinds = {"InitConfiguration", "ClusterConfiguration", "KubeletConfiguration", "KubeProxyConfiguration"}
    assert set(documents) == kinds
    versions = {documents[kind]["apiVersion"] for kind in ("InitConfiguration", "ClusterConfiguration")}
    assert versions == {"kubeadm.k8s.io/v1beta4"}


def test_addresses_and_names(documents: dict[str, Any]) -> None:
    cluster = documents["ClusterConfiguration"]
    assert documents["InitConfiguration"]["localAPIEndpoint"]["advertiseAddress"] == "172.30.250.10"
    assert cluster["controlPlaneEndpoint"] == "kubelab.kubelab.internal:6443"
    assert cluster["kubernetesVersion"] == "v1.37.2"
    assert cluster["networking"] == {"podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/12"}


def test_the_certificate_is_good_for_loopback_and_for_the_endpoint() -> None:
    documents = init_documents(recorded_facts("control-plane"), certificate_sans=("hub.example.org",))
    assert documents["ClusterConfiguration"]["apiServer"]["certSANs"] == [
        "172.30.250.10",
        "kubelab.kubelab.internal",
        "127.0.0.1",
        "localhost",
        "hub.example.org",
    ]


def test_audit_and_encryption_from_the_first_day(documents: dict[str, Any]) -> None:
    server = documents["ClusterConfiguration"]["apiServer"]
    given = arguments(server)
    assert given["audit-policy-file"] == "/etc/kubernetes/kubelab/audit-policy.yaml"
    assert given["audit-log-path"] == "/var/log/kubernetes/audit.log"
    assert given["encryption-provider-config"] == "/etc/kubernetes/kubelab/encryption.yaml"
    mounted = [volume["mountPath"] for volume in server["extraVolumes"]]
    for path in ("audit-policy-file", "audit-log-path", "encryption-provider-config"):
        assert any(given[path].startswith(f"{folder}/") for folder in mounted), f"the API server does not see {path}"


def test_metrics_are_served_on_the_nodes_address_only(documents: dict[str, Any]) -> None:
    cluster = documents["ClusterConfiguration"]
    assert arguments(cluster["etcd"]["local"])["listen-metrics-urls"] == "http://172.30.250.10:2381"
    assert arguments(cluster["controllerManager"])["bind-address"] == "172.30.250.10"
    assert arguments(cluster["scheduler"])["bind-address"] == "172.30.250.10"


def test_every_image_is_ours(documents: dict[str, Any]) -> None:
    cluster = documents["ClusterConfiguration"]
    prefix = "localhost:5000/kubelab"
    assert cluster["imageRepository"] == cluster["dns"]["imageRepository"] == prefix
    assert cluster["etcd"]["local"]["imageRepository"] == prefix
    assert (cluster["dns"]["imageTag"], cluster["etcd"]["local"]["imageTag"]) == ("v1.14.6", "3.7.3")


@pytest.mark.parametrize(
    ("facts", "allowed"), [(recorded_facts("control-plane"), {"failCgroupV1": False}), (bare_host(), {})]
)
def test_cgroup_v1_is_allowed_where_it_is_all_there_is(facts: HostFacts, allowed: dict[str, bool]) -> None:
    kubelet = init_documents(facts)["KubeletConfiguration"]
    assert {key: value for key, value in kubelet.items() if key == "failCgroupV1"} == allowed


@pytest.mark.parametrize(
    ("facts", "conntrack"), [(recorded_facts("control-plane"), {"maxPerCore": 0, "min": 0}), (bare_host(), None)]
)
def test_connection_tracking_is_left_alone_where_it_cannot_be_set(
    facts: HostFacts, conntrack: dict[str, int] | None
) -> None:
    proxy = init_documents(facts)["KubeProxyConfiguration"]
    assert proxy["mode"] == "nftables"
    assert proxy.get("conntrack") == conntrack


def test_the_kubelet_asks_a_real_resolver_and_counts_disk_absolutely(documents: dict[str, Any]) -> None:
    kubelet = documents["KubeletConfiguration"]
    assert kubelet["resolvConf"] == "/etc/kubernetes/kubelab/resolv.conf"
    assert kubelet["evictionHard"]["nodefs.available"].endswith("Gi")
    assert kubelet["imageGCHighThresholdPercent"] == 100


@pytest.mark.parametrize(("schedulable", "registration"), [(True, {"taints": []}), (False, {})])
def test_a_single_host_takes_pods(schedulable: bool, registration: dict[str, Any]) -> None:
    """`taints: []` and no taints differ: without the key kubeadm sets its own."""
    documents = init_documents(recorded_facts("control-plane"), schedulable=schedulable)
    found = documents["InitConfiguration"]["nodeRegistration"]
    assert {key: value for key, value in found.items() if key == "taints"} == registration


def test_the_changes_of_a_control_plane() -> None:
    assert ids(init_changes(recorded_facts("control-plane"))) == [
        "file:/etc/kubernetes/kubelab/init.yaml",
        "file:/etc/kubernetes/kubelab/audit-policy.yaml",
        "action:encryption-key",
        "action:kubeadm-init",
    ]


def test_the_audit_policy_never_logs_what_is_in_secrets() -> None:
    policy = init_changes(recorded_facts("control-plane"))[1]
    assert isinstance(policy, File)
    rules = yaml.safe_load(policy.content)["rules"]
    about = [rule for rule in rules if "secrets" in str(rule.get("resources"))]
    assert [rule["level"] for rule in about] == ["Metadata"]
    first_bodies = next(index for index, rule in enumerate(rules) if rule["level"].startswith("Request"))
    assert rules.index(about[0]) < first_bodies


def test_a_foreign_cluster_is_not_reset() -> None:
    step = kubeadm.init_step(False, "3.7.3", "v1.14.6")
    desired = desire((step,), recorded_facts("control-plane"), node_spec(**CONTROL_PLANE))
    theirs = HostState(files={kubeadm.ADMIN_KUBECONFIG: FileState("0" * 64, "600", "0:0")})
    with pytest.raises(BlockedError, match=r"admin\.conf is there already and kubelab did not make it"):
        plan("control-1", desired, theirs)


def test_the_token_travels_on_stdin_only() -> None:
    (join,) = kubeadm.join_step(CREDENTIALS).desire(recorded_facts("new-node"), node_spec())
    assert isinstance(join, Action)
    assert join.guards == (kubeadm.KUBELET_KUBECONFIG,)
    shown = " ".join(str(command) for command in join.operations())
    assert TOKEN not in f"{shown} {join!r} {join.summary} {CREDENTIALS!r}"
    carrying = [command for command in join.operations() if TOKEN.encode() in (command.stdin or b"")]
    assert len(carrying) == 1
    assert carrying[0].secrets == (TOKEN,)
    config = yaml.safe_load(carrying[0].stdin or b"")
    assert config["discovery"]["bootstrapToken"] == {
        "apiServerEndpoint": "kubelab.kubelab.internal:6443",
        "token": TOKEN,
        "caCertHashes": [CREDENTIALS.ca_hash],
    }
    assert config["nodeRegistration"]["name"] == "worker-1"
    assert arguments({"extraArgs": config["nodeRegistration"]["kubeletExtraArgs"]}) == {"node-ip": "172.30.250.11"}


def test_a_join_is_planned_without_credentials() -> None:
    """A token is made only when a node really has to join."""
    (join,) = kubeadm.join_step(None).desire(recorded_facts("new-node"), node_spec())
    assert not join.satisfied_by(HostState())
    assert join.satisfied_by(HostState(stamps={"kubeadm-join": "kubelab"}))


def test_kubeadm_runs_one_at_a_time() -> None:
    """What an interrupted `docker exec` left running must end before the next one begins."""
    (join,) = kubeadm.join_step(CREDENTIALS).desire(recorded_facts("new-node"), node_spec())
    (call,) = [command.argv for command in join.operations() if kubeadm.KUBEADM in command.argv]
    assert "flock" in call[: call.index(kubeadm.KUBEADM)]
    assert join.recover()
    assert {command.argv[0] for command in join.recover()} == {"flock"}


def test_credentials_are_read_from_kubeadm() -> None:
    said = f"kubeadm join kubelab:6443 --token {TOKEN} --discovery-token-ca-cert-hash {CREDENTIALS.ca_hash} \n"
    runner = Answering(lambda _: said.encode())
    assert issue_credentials(runner) == CREDENTIALS
    assert TOKEN not in str(runner.asked[0])


def test_credentials_that_are_none_are_an_error() -> None:
    with pytest.raises(KubelabError, match="did not print a join command"):
        issue_credentials(Answering(lambda _: b"W1123 warning\n"))


def test_the_nodes_name_is_the_specifications() -> None:
    """Not the host's own: two hosts of one image may both be called `debian`."""
    other = dataclasses.replace(recorded_facts("control-plane"), hostname="debian")
    assert init_documents(other) == init_documents(recorded_facts("control-plane"))
    assert init_documents(other)["InitConfiguration"]["nodeRegistration"]["name"] == "control-1"
