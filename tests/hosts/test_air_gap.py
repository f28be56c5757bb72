"""A cluster from a bundle, on hosts whose only route is to each other."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelab_helpers.artifacts.bundle import create_bundle
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import ExitStatus
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.lab.context import PARTS
from kubelab_helpers.result import SilentReporter

from .machines import Machine, bare_hosts
from .snapshot import take_strict_snapshot
from .waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

STICK = "/media/stick"
BUNDLE, DAMAGED = f"{STICK}/bundle", f"{STICK}/damaged"
PART = "containerd"
"""The first part that is fetched."""
KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--cache-dir=/run/kubectl")


@pytest.fixture(scope="module")
def hosts(python_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Machine]]:
    """Two hosts with Python, a bundle and a copy of it with a flipped bit, and without a default route."""
    stick: Path = tmp_path_factory.mktemp("stick")
    create_bundle(PARTS, stick / "bundle", Store(), SilentReporter())
    shutil.copytree(stick / "bundle", stick / "damaged", copy_function=os.link)
    flip_a_bit(stick / "damaged" / PART)
    with bare_hosts("kl4h-gap", "172.30.247.0/24", ["one", "two"], python_image, [(str(stick), STICK)]) as made:
        for machine in made:
            machine.run("ip", "route", "del", "default")
        yield made


def flip_a_bit(file: Path) -> None:
    """Change one bit in the middle; other names of the file keep what was there."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink()
    file.write_bytes(content)


def kubelab_host(machine: Machine, *arguments: str, stdin: bytes | None = None) -> bytes:
    done = machine.runner.run(Command(("kubelab-host", *arguments), stdin=stdin, timeout_seconds=600))
    assert done.status == 0, done.error_text[-1500:]
    return done.stdout


def test_a_connection_outside_fails(hosts: list[Machine]) -> None:
    """TEST-NET-1 stands for the world: there is no route to it, while the neighbour answers."""
    program = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"
    for machine in hosts:
        done = machine.runner.run(Command(("python3", "-c", program, "192.0.2.1", "443")))
        assert "Network is unreachable" in done.error_text
    assert hosts[1].address in hosts[0].run("ip", "route", "get", hosts[1].address)


def test_a_part_with_a_flipped_bit_is_refused_before_anything_is_touched(hosts: list[Machine]) -> None:
    """By its name; kubelab's own cache, which holds what was verified, is not the host."""
    one = hosts[0]
    one.run("mkdir", "-p", "/opt/kubelab-cache")
    before = take_strict_snapshot(one, ["/opt/kubelab-cache"])
    options = ("--address", one.address, "--nameserver", "192.0.2.53", "--source", "bundle", "--bundle", DAMAGED)
    done = one.runner.run(Command(("kubelab-host", "init", *options), timeout_seconds=300))
    assert done.status == ExitStatus.FAILED
    assert f"{PART}: {PART} in the bundle is not as its manifest says" in done.error_text
    assert "copy the bundle again" in done.error_text
    assert "Traceback" not in done.error_text
    assert take_strict_snapshot(one, ["/opt/kubelab-cache"]) == before
    verified = one.runner.run(Command(("kubelab", "bundle", "verify", DAMAGED), timeout_seconds=300))
    assert verified.status == ExitStatus.FAILED
    assert PART in verified.error_text + verified.text


def test_the_bundle_is_whole_there(hosts: list[Machine]) -> None:
    assert (
        b"Every file is as its manifest says"
        in hosts[0].runner.check(Command(("kubelab", "bundle", "verify", BUNDLE), timeout_seconds=300)).stdout
    )


def test_a_cluster_comes_up(hosts: list[Machine]) -> None:
    one, two = hosts
    options = ("--nameserver", "192.0.2.53", "--bundle", BUNDLE, "--source", "bundle", "-o", "json")
    began = time.monotonic()
    kubelab_host(one, "init", "--address", one.address, *options)
    print(f"init from a bundle took {time.monotonic() - began:.0f} s")
    ticket = kubelab_host(one, "ticket")
    kubelab_host(two, "join", "--address", two.address, *options, stdin=ticket)
    nodes = json.loads(one.run(*KUBECTL, "get", "nodes", "-o", "json"))["items"]
    ready = {
        node["metadata"]["name"]: next(c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready")
        for node in nodes
    }
    assert ready == {"one": "True", "two": "True"}


def test_names_resolve_in_it(hosts: list[Machine]) -> None:
    """CoreDNS answers over the service network, asked from the other node."""
    query = (
        "import socket, struct; q = struct.pack('>6H', 1, 256, 1, 0, 0, 0) + b'\\x0akubernetes\\x07default\\x03svc"
        "\\x07cluster\\x05local\\x00' + struct.pack('>2H', 1, 1); "
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
        "s.settimeout(5); s.sendto(q, ('10.96.0.10', 53)); "
        "print('.'.join(map(str, s.recv(512)[-4:])))"
    )
    ask = Command(("python3", "-c", query))
    # The agents of a node that has just joined need a moment for its rules.
    wait_until(lambda: hosts[1].runner.run(ask).text.strip() == "10.96.0.1", 60, "CoreDNS answers over the Service")
