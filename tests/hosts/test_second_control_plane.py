"""A further control plane joins by ticket, leaves by a reset, and comes again: the first one serves all the time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubelab_helpers.hosts.command import Command

from .machines import Machine, bare_hosts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NAMESERVER = ("--nameserver", "192.0.2.53")
KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--cache-dir=/run/kubectl", "--request-timeout=20s")


@pytest.fixture(scope="module")
def hosts(python_image: str, parts_mount: tuple[str, str]) -> Iterator[list[Machine]]:
    with bare_hosts("kl4h-second", "172.30.249.0/24", ["one", "two"], python_image, [parts_mount]) as made:
        yield made


def call(machine: Machine, *arguments: str, stdin: bytes | None = None) -> bytes:
    done = machine.runner.run(Command(("kubelab-host", *arguments), stdin=stdin, timeout_seconds=240))
    assert done.status == 0, done.error_text[-1500:]
    return done.stdout


def test_it_joins_leaves_and_joins_again(hosts: list[Machine]) -> None:
    """Were etcd not told that a member leaves, two members of which one is gone could decide nothing more."""
    one, two = hosts
    call(one, "init", *NAMESERVER)
    call(two, "join", *NAMESERVER, stdin=call(one, "ticket", "--role", "control-plane"))
    assert two.run(*KUBECTL, "get", "--raw=/readyz") == "ok"
    assert two.run("cat", "/etc/kubernetes/kubelab/encryption.yaml") == one.run(
        "cat", "/etc/kubernetes/kubelab/encryption.yaml"
    )
    key = one.shell("sed -n 's/.*secret: \\([^}]*\\)}.*/\\1/p' /etc/kubernetes/kubelab/encryption.yaml").strip()
    assert key not in two.run("cat", "/var/lib/kubelab/journal.jsonl")
    call(two, "reset", "--yes")
    one.run(*KUBECTL, "create", "namespace", "works")
    one.run(*KUBECTL, "delete", "node", "two")
    call(two, "join", *NAMESERVER, stdin=call(one, "ticket", "--role", "control-plane"))
    assert sorted(one.run(*KUBECTL, "get", "nodes", "-o", "name").split()) == ["node/one", "node/two"]
