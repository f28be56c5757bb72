"""A control plane's certificates and etcd's snapshots, on a real one: one container node, made for these tests."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator

import pytest
from cryptography import x509

from kubelab_helpers.cluster import engine, nodes, renewal, snapshots
from kubelab_helpers.cluster.certificates import now, read_certificates
from kubelab_helpers.cluster.renewal import renew_certificates
from kubelab_helpers.cluster.snapshots import (
    DIRECTORY,
    PROGRAM,
    SERVICE,
    create_snapshot,
    list_snapshots,
    restore_snapshot,
)
from kubelab_helpers.cluster.spec import HostSpec, LabSpec, Ports
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.command import Command, Completed
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.lab import cluster, upkeep
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.result import Outcome, SilentReporter
from tests.hosts.waiting import wait_until

pytestmark = pytest.mark.slow
NAME, NETWORK = "kl4u-c", "172.30.234.0/24"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Make a control plane without a network: neither etcd nor a certificate asks for one."""
    ports = Ports(http=31080, https=31444, api=36443, registry=35000)
    spec = LabSpec(NAME, hosts=(HostSpec("a", "control-plane"),), container_subnet=NETWORK, ports=ports)
    made = Lab(spec, tmp_path_factory.mktemp("lab"), SilentReporter())
    nodes.remove_cluster(engine.client(), NAME)
    try:
        for stage in (cluster.ensure_nodes, cluster.prepare_nodes, cluster.make_control_plane):
            stage(made)
        yield made
    finally:
        nodes.remove_cluster(made.engine, NAME)


@pytest.fixture
def node(lab: Lab) -> Runner:
    """Return the hands on that control plane."""
    return lab.runner(lab.control_plane)


def shell(runner: Runner, script: str) -> str:
    return runner.check(Command(("sh", "-euc", script), timeout_seconds=120)).text


def test_kubeadm_and_kubelet_certificates_are_all_seen(node: Runner) -> None:
    """The same days as kubeadm says, and kubelet's two, of which kubeadm says nothing."""
    found = {each.path: each for each in read_certificates(node)}
    assert {"/var/lib/kubelet/pki/kubelet.crt", "/var/lib/kubelet/pki/kubelet-client-current.pem"} <= found.keys()
    said = shell(node, "kubeadm certs check-expiration -o json | tr -d ' \\n'")
    expires = found["/etc/kubernetes/pki/apiserver.crt"].expires
    assert f'"name":"apiserver","expirationDate":"{expires:%Y-%m-%dT%H:%M:%SZ}"' in said
    assert found["/etc/kubernetes/pki/ca.crt"].authority
    assert found["/etc/kubernetes/admin.conf"].days_left(now()) == 364
    assert len(found) == 16


def test_a_second_enabling_changes_nothing(lab: Lab) -> None:
    for enable in (upkeep.enable_snapshots, upkeep.enable_renewal):
        assert enable(lab)[0] is Outcome.CHANGED
        assert enable(lab)[0] is Outcome.UNCHANGED


def test_a_snapshot_is_whole_and_for_root_alone(node: Runner) -> None:
    made = create_snapshot(node)
    assert made.whole
    assert made.keys > 100
    assert shell(node, f"stat -c '%a %u' {made.path}").split() == ["600", "0"]


def test_the_oldest_go(node: Runner) -> None:
    paths = [create_snapshot(node, keep=2).path for _ in range(3)]
    assert [each.path for each in list_snapshots(node)] == paths[1:]


def test_the_timer_s_service_makes_one(node: Runner) -> None:
    before = {each.path for each in list_snapshots(node)}
    shell(node, f"systemctl start {SERVICE}")
    assert {each.path for each in list_snapshots(node) if each.whole} - before


def test_a_full_disk_leaves_no_half_snapshot(node: Runner) -> None:
    shell(node, "mkdir /run/full && mount -t tmpfs -o size=128k tmpfs /run/full")
    ended = node.run(Command((PROGRAM, "/run/full", "3"), timeout_seconds=120))
    left = shell(node, "ls -A /run/full; umount /run/full; rmdir /run/full").split()
    assert ended.status != 0
    assert "no space left" in ended.error_text
    assert left == [".lock"]


def test_a_damaged_one_is_said_to_be(node: Runner) -> None:
    path = f"{DIRECTORY}/etcd-00000000T000000Z.db"
    shell(node, f"head -c 50000 /dev/urandom > {path}")
    assert [each.path for each in list_snapshots(node) if not each.whole] == [path]


def kubectl(runner: Runner, *arguments: str) -> Completed:
    argv = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--request-timeout=20s", *arguments)
    return runner.run(Command(argv, timeout_seconds=60))


def served_serial(runner: Runner) -> int:
    """Return the serial number of the certificate that the API server shows now."""
    address = next(each for each in shell(runner, "hostname -I").split() if each.startswith("172.30.234."))
    pem = ssl.get_server_certificate((address, 6443), timeout=10)
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def test_certificates_that_last_are_left(node: Runner) -> None:
    before = served_serial(node)
    assert renew_certificates(node, 60) == "nothing is renewed: 364 days are left"
    shell(node, f"systemctl start {renewal.SERVICE}")
    assert served_serial(node) == before


def test_certificates_are_renewed_and_served(node: Runner, record_property: Callable[[str, object], None]) -> None:
    """Every one of kubeadm's is new, the API server shows its own, and all parts work with theirs."""
    before, serial = {each.path: each for each in read_certificates(node)}, served_serial(node)
    time.sleep(2)
    began = time.monotonic()
    # 364 days are left, which is what the timer's service would find below 60.
    assert renew_certificates(node, 365) == "renewed: 364 days were left"
    record_property("seconds", round(time.monotonic() - began, 1))
    after = {each.path: each for each in read_certificates(node)}
    kept = {path for path in before if after[path].expires == before[path].expires}
    assert all(before[path].authority or path.startswith("/var/lib/kubelet/") for path in kept)
    assert len(before.keys() - kept) == 11
    assert served_serial(node) != serial
    for component in ("scheduler", "controller-manager"):
        said = kubectl(node, "get", "--namespace=kube-system", "lease", f"kube-{component}", "--output=json")
        assert said.status == 0
    made = kubectl(node, "create", "deployment", "renewed", "--image=none")
    assert made.status == 0, made.error_text
    # A ReplicaSet is the controller manager's work: its new certificate is taken.
    wait_until(
        lambda: "renewed-" in kubectl(node, "get", "replicasets", "--output=name").text, 60, "a ReplicaSet is made"
    )


def test_a_snapshot_of_elsewhere_is_refused(node: Runner) -> None:
    with pytest.raises(BlockedError, match="no snapshot of this host"):
        restore_snapshot(node, "/media/usb/etcd.db")
    damaged = next(each.path for each in list_snapshots(node) if not each.whole)
    with pytest.raises(BlockedError, match="is damaged"):
        restore_snapshot(node, damaged)


def test_a_snapshot_comes_back(node: Runner, record_property: Callable[[str, object], None]) -> None:
    """What was deleted is there again, what came later is gone, and the data of between is kept."""
    assert kubectl(node, "create", "configmap", "kept", "--from-literal=a=b").status == 0
    saved = create_snapshot(node)
    assert kubectl(node, "delete", "configmap", "kept").status == 0
    assert kubectl(node, "create", "configmap", "later").status == 0
    began = time.monotonic()
    kept = restore_snapshot(node, saved.path)
    record_property("seconds", round(time.monotonic() - began, 1))
    names = kubectl(node, "get", "configmaps", "--output=name").text.split()
    assert "configmap/kept" in names
    assert "configmap/later" not in names
    assert shell(node, f"ls {kept}").split() == ["member"]
    found = kubectl(node, "get", "configmap", "kept", "--output=jsonpath={.metadata.resourceVersion}").text
    assert int(found) <= saved.revision
    made = kubectl(node, "create", "configmap", "after", "--output=jsonpath={.metadata.resourceVersion}").text
    assert int(made) > saved.revision + 1_000_000_000


def test_a_restore_that_was_killed_goes_on(node: Runner) -> None:
    saved = create_snapshot(node)
    script = f"{snapshots.RESTORE_PROGRAM} {saved.path} /var/lib/kubelab/backups/etcd-killed & echo $!"
    process = shell(node, f"setsid {script} >/run/restore.pid 2>/dev/null </dev/null; cat /run/restore.pid").strip()
    wait_until(lambda: shell(node, "ls /etc/kubernetes/kubelab/held 2>/dev/null || true") != "", 60, "it is held")
    shell(node, f"kill -9 {process}")
    assert kubectl(node, "get", "--raw=/readyz").status != 0
    restore_snapshot(node, saved.path)
    assert kubectl(node, "get", "--raw=/readyz").status == 0
    assert shell(node, "ls /etc/kubernetes/kubelab").split().count("held") == 0
