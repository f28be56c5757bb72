"""The hub on hosts over SSH, from a bundle: no route but to each other, no Python there, no engine for the operator."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubelab_helpers.hosts.command import Command
from kubelab_helpers.release.deploy import read_admin
from tests.e2e.hub import HubSession
from tests.e2e.kernel import open_kernel
from tests.hosts.ssh_hosts import SshHosts, kubectl, ssh_hosts
from tests.hosts.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

CLUSTER = "kl4u-lab"
KUBELAB = Path(sys.executable).with_name("kubelab")
SUBNET = "172.30.224.0/24"
PYTHON = "3.11"
CONTROL: dict[str, object] = {"name": "control", "role": "control-plane", "ssh": {"user": "anna"}}
WORKER: dict[str, object] = {"name": "worker", "role": "worker"}
PROBE = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], method=sys.argv[2])
try:
    print(urllib.request.urlopen(request, timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code)
except urllib.error.URLError as error:
    print(error.reason)
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHosts]:
    """Two hosts without a default route, and the folder of an operator with a bundle."""
    folder = tmp_path_factory.mktemp("operator")
    with ssh_hosts("kl4u", ("control", "worker"), folder, SUBNET) as made:
        made.describe(CLUSTER, [CONTROL, WORKER])
        described = yaml.safe_load(made.file.read_text())
        # A name server that nobody is: pods of hosts without a network have nobody to ask.
        described |= {"pythons": [PYTHON], "network": {"nameservers": ["192.0.2.53"]}}
        made.file.write_text(yaml.safe_dump(described, sort_keys=False))
        for machine in made.machines.values():
            machine.run("ip", "route", "del", "default")
        yield made


def kubelab(
    hosts: SshHosts, *arguments: str, status: int = 0, with_engine: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run `kubelab` as the operator, who has no engine unless said so, and require an exit status."""
    # Nothing listens there: whatever asks for an engine fails.
    environment = os.environ if with_engine else {**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    done = subprocess.run(
        [str(KUBELAB), *arguments],
        cwd=hosts.folder,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env=environment,
    )
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done


def stages(said: str) -> dict[str, str]:
    return {each["name"]: each["outcome"] for each in json.loads(said)["stages"]}


def up(hosts: SshHosts) -> str:
    return kubelab(hosts, "up", "--source", "bundle", "--bundle", "bundle.tar").stdout


def address(hosts: SshHosts) -> str:
    return f"http://{hosts.machines['control'].address}:30080"


def revisions(hosts: SshHosts) -> list[str]:
    """Return the manifests in the control plane's registry."""
    script = "find /var/lib/kubelab-registry/ -path '*_manifests/revisions/*/link' | sort"
    return hosts.machines["control"].shell(script).split()


def ask(hosts: SshHosts, url: str, method: str = "GET") -> str:
    """Ask a registry from the operator's side of the network."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, url, method], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.strip()


def test_the_hosts_reach_nothing_outside(hosts: SshHosts) -> None:
    for machine in hosts.machines.values():
        done = machine.runner.run(Command(("bash", "-c", "exec 3<>/dev/tcp/192.0.2.1/443")))
        assert "unreachable" in done.error_text


def test_a_bundle_is_made_with_the_hub_in_it(hosts: SshHosts, record_property: Callable[[str, object], None]) -> None:
    began = time.monotonic()
    kubelab(hosts, "bundle", "create", "bundle.tar", with_engine=True)
    record_property("seconds", round(time.monotonic() - began, 1))
    record_property("MB", (hosts.folder / "bundle.tar").stat().st_size // 10**6)
    (hosts.folder / ".kubelab" / "digests.json").unlink()
    assert "Every file is as its manifest says" in kubelab(hosts, "bundle", "verify", "bundle.tar").stdout


def test_a_bundle_without_the_hub_is_refused_before_a_host_is_touched(hosts: SshHosts) -> None:
    kubelab(hosts, "bundle", "create", "cluster.tar", "--cluster-only")
    said = kubelab(hosts, "up", "--source", "bundle", "--bundle", "cluster.tar", status=3).stderr
    assert "the bundle lacks images of this version of kubelab: provisioner" in said
    (hosts.folder / "cluster.tar").unlink()
    for machine in hosts.machines.values():
        assert machine.shell("ls /var/lib/kubelab 2>/dev/null || true") == ""


def test_the_hub_comes_up(hosts: SshHosts, record_property: Callable[[str, object], None]) -> None:
    began = time.monotonic()
    said = up(hosts)
    record_property("seconds", round(time.monotonic() - began, 1))
    assert f"Hub:      {address(hosts)}" in said
    assert "healthy" in kubelab(hosts, "status").stdout


def test_a_person_signs_in_and_runs_a_cell(hosts: SshHosts) -> None:
    name, password = read_admin(hosts.folder / ".kubelab" / "kubeconfig")
    person = HubSession(address(hosts))
    person.log_in(name, password)
    assert person.name == name
    person.start_server(PYTHON)
    with open_kernel(person) as kernel:
        assert kernel.run("import sys; print(sys.version_info[:2])").stdout == "(3, 11)\n"
    person.stop_server()


def test_every_pod_was_pulled_from_the_hosts_registry_by_digest(hosts: SshHosts) -> None:
    listed: Any = json.loads(kubectl(hosts.machines["control"], "get", "pods", "-A", "-o", "json"))["items"]
    images = {
        each["image"]
        for pod in listed
        if pod["metadata"]["namespace"].startswith("jupyterhub")
        for each in pod["spec"]["containers"]
    }
    assert images
    assert all(image.startswith("localhost:5000/kubelab/") and "@sha256:" in image for image in images)


def test_up_again_changes_nothing(hosts: SshHosts, record_property: Callable[[str, object], None]) -> None:
    began = time.monotonic()
    assert "Nothing changed." in up(hosts)
    record_property("seconds", round(time.monotonic() - began, 1))


def test_nobody_writes_into_the_registry_over_the_network(hosts: SshHosts) -> None:
    served = f"http://{hosts.machines['control'].address}"
    assert ask(hosts, f"{served}:5000/v2/") == "200"
    assert ask(hosts, f"{served}:5000/v2/kubelab/hub/blobs/uploads/", "POST") == "405"
    assert "refused" in ask(hosts, f"{served}:5001/v2/")


def test_the_registry_comes_back_when_it_is_killed(hosts: SshHosts) -> None:
    control = hosts.machines["control"]
    control.shell("systemctl kill --signal=KILL kubelab-registry")
    wait_until(lambda: ask(hosts, f"http://{control.address}:5000/v2/") == "200", 30, "the registry answers again")


def test_an_image_that_a_registry_lost_is_sent_again(hosts: SshHosts) -> None:
    """From this machine's registry this time: without a bundle the operator builds, with an engine."""
    control = hosts.machines["control"]
    before = revisions(hosts)
    control.shell("rm -r /var/lib/kubelab-registry/docker/registry/v2/repositories/kubelab/proxy")
    assert len(revisions(hosts)) == len(before) - 1
    planned = json.loads(kubelab(hosts, "up", "--dry-run", "-o", "json", with_engine=True).stdout)["stages"]
    assert next(each["changes"] for each in planned if each["stage"] == "delivery") == [
        "store image localhost:5000/kubelab/proxy:0.1.0"
    ]
    said = kubelab(hosts, "up", "-o", "json", with_engine=True).stdout
    assert stages(said)["delivery"] == "changed"
    assert stages(said)["release"] == "unchanged"
    assert revisions(hosts) == before


def test_down_makes_the_hosts_what_they_were(hosts: SshHosts) -> None:
    kubelab(hosts, "down", "--yes", with_engine=True)
    for machine in hosts.machines.values():
        left = machine.shell(
            "ls -d /etc/kubelab /etc/kubernetes /etc/containerd /var/lib/containerd /var/lib/kubelab-registry "
            "/var/lib/private/kubelab-registry /usr/local/bin/registry /etc/systemd/system/kubelab-* 2>/dev/null "
            "|| true"
        )
        assert left == ""
        assert "kubelab" not in machine.shell("systemctl list-units --all --plain --no-legend")
    # Homes are people's; a reset host keeps them.
    assert hosts.machines["worker"].shell("ls /var/lib/kubelab/volumes") != ""
    shutil.rmtree(hosts.folder / ".kubelab", ignore_errors=True)
