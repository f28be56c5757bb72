"""The cluster's own state: what was set at `kubeadm init` and cannot easily be changed afterwards."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from cryptography import x509
from kubernetes.client.exceptions import ApiException

from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.release.deploy import NAMESPACE

from .lab import Lab
from .pods import describe_pod
from .waiting import wait_until

ETCD_FOLDER = "/etc/kubernetes/pki/etcd"
AUDIT_LOG = "/var/log/kubernetes/audit.log"
AUDIT_TIMEOUT_SECONDS = 20.0
UNVERIFIED = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


@pytest.fixture
def marked(lab: Lab) -> Iterator[tuple[str, str]]:
    """The name of a Secret and of a ConfigMap, and the value that both hold."""
    name, value = f"e2e-{secrets.token_hex(6)}", secrets.token_hex(24)
    metadata, namespace = {"name": name}, "default"
    lab.core.create_namespaced_secret(namespace, {"metadata": metadata, "stringData": {"key": value}})
    try:
        lab.core.create_namespaced_config_map(namespace, {"metadata": metadata, "data": {"key": value}})
        yield name, value
        lab.core.delete_namespaced_config_map(name, namespace)
    finally:
        lab.core.delete_namespaced_secret(name, namespace)


def test_every_node_of_the_spec_is_ready_at_its_address(lab: Lab) -> None:
    """With the Kubernetes version that was asked for, and containerd."""
    nodes = {node.metadata.name: node for node in lab.core.list_node().items}
    assert sorted(nodes) == sorted(host.name for host in lab.spec.hosts)
    for name, node in nodes.items():
        conditions = {each.type: each.status for each in node.status.conditions}
        addresses = {each.type: each.address for each in node.status.addresses}
        assert conditions["Ready"] == "True"
        assert addresses["InternalIP"] == lab.spec.address_of(name)
        assert node.status.node_info.kubelet_version == f"v{lab.spec.kubernetes_version}"
        assert node.status.node_info.container_runtime_version.startswith("containerd://2.")


def test_secret_is_encrypted_in_etcd(lab: Lab, marked: tuple[str, str], tmp_path: Path) -> None:
    """As secretbox, with nothing of its value; a ConfigMap shows that we would have seen it."""
    name, value = marked
    secret = _read_etcd(lab, tmp_path, f"/registry/secrets/default/{name}")
    assert secret.startswith(b"k8s:enc:secretbox:v1:")
    assert value.encode() not in secret
    assert value.encode() in _read_etcd(lab, tmp_path, f"/registry/configmaps/default/{name}")


def test_hub_secrets_are_encrypted_in_etcd(lab: Lab, tmp_path: Path) -> None:
    """Those that the chart's hook made, too."""
    names = [each.metadata.name for each in lab.core.list_namespaced_secret(NAMESPACE).items]
    assert len(names) >= 2
    for name in names:
        assert _read_etcd(lab, tmp_path, f"/registry/secrets/{NAMESPACE}/{name}").startswith(b"k8s:enc:secretbox:v1:")


def _read_etcd(lab: Lab, folder: Path, key: str) -> bytes:
    """Ask etcd itself, over its JSON gateway: https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/."""
    files = {}
    for name in ("ca.crt", "healthcheck-client.crt", "healthcheck-client.key"):
        files[name] = folder / name
        files[name].touch(mode=0o600)
        files[name].write_text(lab.run_on(lab.control_plane, "cat", f"{ETCD_FOLDER}/{name}"))
    try:
        answer = requests.post(
            f"https://{lab.spec.address_of(lab.control_plane.name)}:2379/v3/kv/range",
            json={"key": base64.b64encode(key.encode()).decode()},
            cert=(str(files["healthcheck-client.crt"]), str(files["healthcheck-client.key"])),
            verify=str(files["ca.crt"]),
            timeout=10,
        )
    finally:
        for file in files.values():
            file.unlink()
    assert answer.status_code == 200, answer.text
    assert answer.json().get("kvs"), f"etcd has no key {key}"
    return base64.b64decode(answer.json()["kvs"][0]["value"])


@UNVERIFIED
def test_etcd_refuses_a_client_without_certificate(lab: Lab) -> None:
    """On the node's address, which pods could reach."""
    address = f"https://{lab.spec.address_of(lab.control_plane.name)}:2379/health"
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(address, verify=False, timeout=10)  # noqa: S501  # the client's side is the question here


def test_audit_log_names_who_made_a_secret_and_not_its_content(lab: Lab, marked: tuple[str, str]) -> None:
    """Within seconds, on the control plane's disk, readable by root only."""
    name, value = marked
    events = wait_until("the audit log names the Secret", lambda: _read_audit(lab, name), AUDIT_TIMEOUT_SECONDS)
    made = [each for each in events if each["objectRef"]["resource"] == "secrets" and each["verb"] == "create"]
    assert [each["level"] for each in made] == ["Metadata"]
    assert made[0]["user"]["username"] == "kubernetes-admin"
    assert value not in json.dumps(events)
    assert lab.run_on(lab.control_plane, "stat", "--format=%a %U", AUDIT_LOG).split() == ["600", "root"]


def _read_audit(lab: Lab, name: str) -> list[dict[str, Any]]:
    lines = lab.run_on(lab.control_plane, "sh", "-c", 'grep -h -- "$1" "$2" || true', "grep", name, AUDIT_LOG)
    return [json.loads(line) for line in lines.splitlines()]


def test_audit_log_does_not_fill_the_disk(lab: Lab) -> None:
    """It is begun anew at 100 MB; five of before are kept, for 30 days."""
    manifest = yaml.safe_load(lab.run_on(lab.control_plane, "cat", "/etc/kubernetes/manifests/kube-apiserver.yaml"))
    flags = dict(each.split("=", 1) for each in manifest["spec"]["containers"][0]["command"] if "=" in each)
    limits = {name: flags.get(f"--audit-log-{name}") for name in ("maxsize", "maxbackup", "maxage")}
    assert limits == {"maxsize": "100", "maxbackup": "5", "maxage": "30"}


def test_etcd_metrics_can_be_scraped(lab: Lab) -> None:
    """Plain HTTP on port 2381 of the node's address."""
    answer = requests.get(f"http://{lab.spec.address_of(lab.control_plane.name)}:2381/metrics", timeout=10)
    assert answer.status_code == 200
    assert "etcd_server_has_leader 1" in answer.text.splitlines()


@pytest.mark.parametrize(("port", "program"), [(10259, "kube-scheduler"), (10257, "kube-controller"), (2381, "etcd")])
def test_component_listens_on_the_node_address_only(port: int, program: str, lab: Lab) -> None:
    """Not on every address, so that a node with a second network shows nothing there."""
    sockets = lab.run_on(lab.control_plane, "ss", "--listening", "--tcp", "--numeric", "--processes", "--no-header")
    found = [line.split() for line in sockets.splitlines() if line.split()[3].endswith(f":{port}")]
    assert [line[3] for line in found] == [f"{lab.spec.address_of(lab.control_plane.name)}:{port}"]
    assert program in found[0][5]


@UNVERIFIED
@pytest.mark.parametrize("port", [10259, 10257])
def test_component_is_healthy_and_shows_metrics_to_nobody(port: int, lab: Lab) -> None:
    """/healthz is for everybody; /metrics asks for an identity."""
    address = f"https://{lab.spec.address_of(lab.control_plane.name)}:{port}"
    health = requests.get(f"{address}/healthz", verify=False, timeout=10)  # noqa: S501  # it has a certificate of its own
    metrics = requests.get(f"{address}/metrics", verify=False, timeout=10)  # noqa: S501  # it has a certificate of its own
    assert (health.status_code, health.text) == (200, "ok")
    assert metrics.status_code == 403


def test_api_certificate_holds_every_name_it_is_reached_by(lab: Lab) -> None:
    """127.0.0.1 for the operator, the endpoint's name for nodes, the node's address, and the Service's names."""
    text = ssl.get_server_certificate(("127.0.0.1", lab.spec.ports.api), timeout=10)
    certificate = x509.load_pem_x509_certificate(text.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = set(names.get_values_for_type(x509.IPAddress))
    control = lab.spec.address_of(lab.control_plane.name)
    assert {ip_address("127.0.0.1"), ip_address(control)} <= addresses
    endpoint = lab.spec.endpoint.rpartition(":")[0]
    assert {endpoint, "localhost", "kubernetes.default.svc"} <= set(names.get_values_for_type(x509.DNSName))


def test_kubeconfigs_name_the_endpoint(lab: Lab) -> None:
    """By its DNS name, so that a second control plane can stand behind it later.

    A control plane's own kubelet talks to its own API server, since kubeadm 1.36 always.
    """
    assert _read_server(lab, lab.control_plane, "admin.conf") == f"https://{lab.spec.endpoint}"
    assert _read_server(lab, lab.worker, "kubelet.conf") == f"https://{lab.spec.endpoint}"


def _read_server(lab: Lab, host: HostSpec, name: str) -> str:
    return lab.run_on(host, "grep", "server:", f"/etc/kubernetes/{name}").removeprefix("    server:").strip()


def test_pod_that_runs_as_root_is_refused_beside_the_hub(lab: Lab) -> None:
    """The release's namespace is held to the restricted Pod Security Standard, by the API server itself."""
    name = f"e2e-root-{secrets.token_hex(3)}"
    pod = describe_pod(lab, name, lab.worker)
    context = pod["spec"]["containers"][0]["securityContext"]
    pod["spec"]["containers"][0]["securityContext"] = context | {"runAsNonRoot": False, "runAsUser": 0}
    with pytest.raises(ApiException) as refusal:
        lab.core.create_namespaced_pod(NAMESPACE, pod, dry_run="All")
    assert refusal.value.status == 403
    reason = json.loads(refusal.value.body or "")["message"]
    assert 'violates PodSecurity "restricted' in reason
    assert "runAsNonRoot != true" in reason
    pod["spec"]["containers"][0]["securityContext"] = context
    assert lab.core.create_namespaced_pod(NAMESPACE, pod, dry_run="All").metadata.name == name
