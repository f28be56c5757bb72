"""Three control planes and a worker from 1.36.3 to 1.37.2 over SSH: refused, killed in the middle, and ended."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
import yaml

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.ledger import read_ledger
from kubelab_helpers.hosts.rollback import read_rollback
from tests.hosts.ssh_hosts import DEPLOYMENT_IMAGE, SshHosts, kubectl, ssh_hosts
from tests.hosts.test_cluster_ssh import KUBELAB, answer, kubelab
from tests.hosts.waiting import wait_until

pytestmark = pytest.mark.slow

CLUSTER = "kl4s-upgrade"
OLD, NEW = "1.36.3", "1.37.2"
CONTROL_PLANES = ("first", "second", "third")
SECONDS = 900
"""kubeadm's three upgrades of control planes took 380 s on the reference machine."""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHosts]:
    """A cluster of the older version, whose description asks for the newer one."""
    with ssh_hosts("kl4s", (*CONTROL_PLANES, "worker"), tmp_path_factory.mktemp("operator")) as made:
        entries: list[dict[str, object]] = [{"name": name, "role": "control-plane"} for name in CONTROL_PLANES]
        made.describe(CLUSTER, [*entries, {"name": "worker", "role": "worker"}])
        want(made, OLD)
        kubelab(made, "apply")
        want(made, NEW)
        yield made


def want(hosts: SshHosts, version: str) -> None:
    """Write the wanted version into kubelab.yaml."""
    values = yaml.safe_load(hosts.file.read_text())
    hosts.file.write_text(yaml.safe_dump({**values, "kubernetes": {"version": version}}, sort_keys=False))


def versions(hosts: SshHosts, asked: str = "first") -> dict[str, str]:
    template = "{range .items[*]}{.metadata.name}={.status.nodeInfo.kubeletVersion} {end}"
    said = kubectl(hosts.machines[asked], "get", "nodes", f"--output=jsonpath={template}")
    return dict(each.split("=") for each in said.split())


def journals(hosts: SshHosts) -> dict[str, str]:
    return {name: machine.shell("cat /var/lib/kubelab/journal.jsonl") for name, machine in hosts.machines.items()}


@dataclass
class Poll:
    """Asks every API server, four times a second, whether it is ready."""

    addresses: Sequence[str]
    rounds: int = 0
    silent: dict[str, int] = field(default_factory=dict)
    all_silent: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask until the end is wanted."""
        context = ssl._create_unverified_context()  # noqa: S323 — whether it answers is all that is asked
        while not self.ended.wait(0.25):
            failed = [each for each in self.addresses if not answers(each, context)]
            self.rounds += 1
            self.all_silent += len(failed) == len(self.addresses)
            for each in failed:
                self.silent[each] = self.silent.get(each, 0) + 1


def answers(address: str, context: ssl.SSLContext) -> bool:
    try:
        with urllib.request.urlopen(f"https://{address}:6443/readyz", timeout=2, context=context) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def poll(hosts: SshHosts) -> Iterator[Poll]:
    """Ask for as long as a test lasts."""
    asking = Poll([hosts.machines[name].address for name in CONTROL_PLANES])
    thread = threading.Thread(target=asking.run)
    thread.start()
    yield asking
    asking.ended.set()
    thread.join(timeout=30)


def test_nothing_but_an_upgrade_changes_the_version(hosts: SshHosts) -> None:
    before = journals(hosts)
    for command in ("plan", "apply"):
        said = kubelab(hosts, command, status=3).stderr
        assert f"first has {OLD}" in said
        assert "`kubelab cluster upgrade`" in said
    assert journals(hosts) == before


def test_a_dry_run_says_the_order_and_touches_nothing(hosts: SshHosts) -> None:
    before = journals(hosts)
    names = [each["name"] for each in answer(hosts, "upgrade", "--dry-run")["stages"]]
    assert names[names.index("snapshot") :][:6] == [
        "snapshot",
        "apply first",
        "node second",
        "node third",
        "kubelet first",
        "kubelet second",
    ]
    assert journals(hosts) == before


def test_what_a_drain_would_end_for_good_is_told_first(hosts: SshHosts) -> None:
    """A user's server is such a pod."""
    first, before = hosts.machines["first"], journals(hosts)
    run = ("run", "server", f"--image={DEPLOYMENT_IMAGE}", "--image-pull-policy=IfNotPresent")
    kubectl(first, *run)
    kubectl(first, "wait", "pod/server", "--for=condition=Ready", "--timeout=60s")
    said = kubelab(hosts, "upgrade", status=3).stderr
    assert "default/server on worker" in said
    assert "--force" in said
    assert journals(hosts) == before
    kubectl(first, "delete", "pod", "server", "--grace-period=1")


def test_an_upgrade_that_was_killed_goes_on(
    hosts: SshHosts, poll: Poll, record_property: Callable[[str, object], None]
) -> None:
    """Killed while kubeadm replaces the first control plane; some API server answers all the time."""
    first = hosts.machines["first"]
    # The owner's own cordon is not the upgrade's to lift.
    kubectl(first, "cordon", "third")
    began = time.monotonic()
    with subprocess.Popen([str(KUBELAB), "cluster", "upgrade"], cwd=hosts.folder, stderr=subprocess.PIPE) as killed:
        wait_until(lambda: "kubeadm upgrade apply" in journals(hosts)["first"], 120, "kubeadm has begun")
        time.sleep(20)
        killed.send_signal(signal.SIGKILL)
    assert set(versions(hosts, "second").values()) == {f"v{OLD}"}
    done = subprocess.run(
        [str(KUBELAB), "cluster", "upgrade"],
        cwd=hosts.folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    record_property("seconds", round(time.monotonic() - began, 1))
    record_property("rounds asked", poll.rounds)
    record_property("silent", dict(sorted(poll.silent.items())))
    record_property("none answered", poll.all_silent)
    assert poll.rounds > 100
    assert poll.all_silent == 0
    assert set(versions(hosts).values()) == {f"v{NEW}"}


def test_every_part_has_the_new_version_and_its_own_settings(hosts: SshHosts) -> None:
    status = answer(hosts, "status")
    assert status["healthy"]
    assert {node["name"] for node in status["nodes"] if not node["schedulable"]} == {"third"}
    for name in CONTROL_PLANES:
        machine = hosts.machines[name]
        images = machine.shell("grep -h image: /etc/kubernetes/manifests/kube-*.yaml")
        assert images.count(f":v{NEW}") == len(images.splitlines()) == 3
        listening = machine.shell("ss -ltnH | awk '{print $4}'").split()
        for port in (2381, 10257, 10259):
            assert f"{machine.address}:{port}" in listening
    proxies = kubectl(
        hosts.machines["first"],
        "get",
        "pods",
        "--namespace=kube-system",
        "--selector=k8s-app=kube-proxy",
        "--output=json",
    )
    proxy_images = [pod["spec"]["containers"][0]["image"] for pod in json.loads(proxies)["items"]]
    assert len(proxy_images) == 4
    assert all(image.endswith(f":v{NEW}") for image in proxy_images)


def test_etcd_was_saved_before(hosts: SshHosts) -> None:
    saved = [hosts.machines[name].shell("ls /var/lib/kubelab/snapshots 2>/dev/null || true") for name in CONTROL_PLANES]
    assert any("etcd-" in each for each in saved)


def test_a_second_upgrade_and_apply_have_nothing_to_do(hosts: SshHosts) -> None:
    before = journals(hosts)
    assert "Nothing changed." in kubelab(hosts, "upgrade").stdout
    assert "Nothing changed." in kubelab(hosts, "apply").stdout
    assert journals(hosts) == before


def test_the_way_back_is_refused(hosts: SshHosts) -> None:
    want(hosts, OLD)
    assert "Kubernetes cannot go back" in kubelab(hosts, "upgrade", status=3).stderr
    assert f"version: {NEW}" in kubelab(hosts, "apply", status=3).stderr
    want(hosts, NEW)
    with pytest.raises(BlockedError, match="cannot be put back: kubeadm upgrade node"):
        read_rollback(hosts.machines["worker"].runner, "worker")


def test_an_upgraded_host_can_be_let_go(hosts: SshHosts) -> None:
    """A reset passes the upgrade: the host is as it was before the older version came."""
    kubelab(hosts, "remove", "worker", "--yes")
    worker = hosts.machines["worker"]
    left = worker.shell(
        "ls -d /etc/kubernetes /etc/cni /opt/cni /usr/local/bin/kubelet /run/flannel 2>/dev/null || true"
    )
    assert left == ""
    assert read_ledger(journals(hosts)["worker"].splitlines()).entries == ()
