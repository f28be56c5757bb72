"""A control plane's certificates and etcd's snapshots, on a real one: one container node, made for these tests."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.cluster import engine, nodes
from kubelab_helpers.cluster.certificates import now, read_certificates
from kubelab_helpers.cluster.snapshots import (
    DIRECTORY,
    PROGRAM,
    SERVICE,
    STEP,
    TOOLS,
    create_snapshot,
    desire_snapshots,
    list_snapshots,
)
from kubelab_helpers.cluster.spec import HostSpec, LabSpec, Ports
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.executor import apply_plan, end_run
from kubelab_helpers.hosts.plan import plan
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.spec import LocalProgram
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.lab import cluster
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.result import SilentReporter

pytestmark = pytest.mark.slow
NAME, NETWORK = "kl4u-c", "172.30.234.0/24"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Make a control plane without a network: neither etcd nor a certificate asks for one."""
    ports = Ports(http=31080, https=31444, api=36443, registry=35000)
    spec = LabSpec(NAME, hosts=(HostSpec("a", "control-plane"),), container_subnet=NETWORK, ports=ports)
    lab = Lab(spec, tmp_path_factory.mktemp("lab"), SilentReporter())
    nodes.remove_cluster(engine.client(), NAME)
    try:
        for stage in (cluster.ensure_nodes, cluster.prepare_nodes, cluster.make_control_plane):
            stage(lab)
        yield lab.runner(lab.control_plane)
    finally:
        nodes.remove_cluster(lab.engine, NAME)


def enable(runner: Runner) -> int:
    store = Store("auto")
    paths = store.fetch(TOOLS, SilentReporter())
    tools = {name: LocalProgram(path, store.sha256(name)) for name, path in paths.items()}
    desired = desire_snapshots(tools)
    state = probe_state(runner, (name for each in desired for name in each.change.watched))
    made = apply_plan(runner, plan("a", desired, state), state, SilentReporter(), STEP)
    end_run(runner, probe_state(runner, ()))
    return made


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


def test_a_second_enabling_changes_nothing(node: Runner) -> None:
    assert enable(node) > 0
    assert enable(node) == 0


def test_a_snapshot_is_whole_and_for_root_alone(node: Runner) -> None:
    made = create_snapshot(node)
    assert made.whole
    assert made.keys > 100
    assert shell(node, f"stat -c '%a %u' {made.path}").split() == ["600", "0"]


def test_the_oldest_go(node: Runner) -> None:
    paths = []
    for _ in range(3):
        time.sleep(1.1)
        paths.append(create_snapshot(node, keep=2).path)
    assert [each.path for each in list_snapshots(node)] == paths[1:]


def test_the_timer_s_service_makes_one(node: Runner) -> None:
    before = {each.path for each in list_snapshots(node)}
    time.sleep(1.1)
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
