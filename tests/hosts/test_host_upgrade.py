"""A cluster that `kubelab-host init` made in an older version, upgraded from the host itself."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from kubelab_helpers.errors import ExitStatus
from kubelab_helpers.hosts.command import Command, Completed, write_file

from .machines import Machine, bare_hosts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

OLD, NEW = "1.36.3", "1.37.2"
NETWORK = "172.30.231.0/24"
NAMESERVER = "192.0.2.53"


@pytest.fixture(scope="module")
def host(python_image: str, parts_mount: tuple[str, str]) -> Iterator[Machine]:
    with bare_hosts("kl4h-upgrade", NETWORK, ["one"], python_image, [parts_mount]) as (made,):
        yield made


def call(host: Machine, *argv: str) -> Completed:
    """Run a command of kubelab's on the host, in /srv, and return how it ended."""
    return host.runner.run(Command(argv, timeout_seconds=900, cwd="/srv"))


def version(host: Machine) -> str:
    template = "{.items[0].status.nodeInfo.kubeletVersion}"
    return host.run(
        "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", "nodes", f"--output=jsonpath={template}"
    )


def test_init_makes_the_version_that_was_asked_for(host: Machine) -> None:
    done = call(host, "kubelab-host", "init", "--nameserver", NAMESERVER, "--kubernetes-version", OLD)
    assert done.status == 0, done.error_text[-2000:]
    assert version(host) == f"v{OLD}"


def test_init_again_does_not_replace_it(host: Machine) -> None:
    done = call(host, "kubelab-host", "init", "--nameserver", NAMESERVER)
    assert done.status == ExitStatus.BLOCKED
    assert OLD in done.error_text
    assert version(host) == f"v{OLD}"


def test_a_description_of_the_host_leads_to_the_same_upgrade(host: Machine) -> None:
    described = {
        "name": "kubelab",
        "kubernetes": {"version": NEW},
        "hosts": [{"name": "one", "role": "control-plane", "address": host.address, "local": True}],
        "network": {"nameservers": [NAMESERVER]},
    }
    host.runner.check(write_file("/srv/kubelab.yaml", yaml.safe_dump(described).encode(), 0o644))
    plans = [
        json.loads(call(host, *command, "--dry-run", "-o", "json").text)
        for command in (("kubelab", "cluster", "upgrade"), ("kubelab-host", "upgrade"))
    ]
    assert plans[0] == plans[1]
    assert [each["name"] for each in plans[0]["stages"] if each["name"].endswith(" one")] == [
        "apply one",
        "kubelet one",
    ]
    assert version(host) == f"v{OLD}"


def test_a_version_of_which_there_are_no_parts_is_refused(host: Machine) -> None:
    done = call(host, "kubelab-host", "upgrade", "--kubernetes-version", "1.30.0")
    assert done.status == ExitStatus.INVALID
    assert "carries no parts of Kubernetes" in done.error_text


def test_the_host_upgrades_itself(host: Machine) -> None:
    done = call(host, "kubelab-host", "upgrade")
    assert done.status == 0, done.error_text[-3000:]
    assert version(host) == f"v{NEW}"


def test_init_and_upgrade_again_change_nothing(host: Machine) -> None:
    done = call(host, "kubelab-host", "init", "--nameserver", NAMESERVER, "-o", "json")
    assert done.status == 0, done.error_text[-2000:]
    assert {stage["outcome"] for stage in json.loads(done.text)["stages"]} == {"unchanged"}
    done = call(host, "kubelab-host", "upgrade", "-o", "json")
    assert {stage["outcome"] for stage in json.loads(done.text)["stages"]} == {"unchanged"}
