"""Bare hosts to try things on: containers with systemd and nothing of Kubernetes, each test's own, removed after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.cluster import engine, nodes
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import ContainerRunner
from kubelab_helpers.images.catalog import load_catalog

OWNER = "tests"


@dataclass(frozen=True)
class Machine:
    """One bare host: its name, its address, and the hands on it."""

    name: str
    address: str
    runner: ContainerRunner

    def run(self, *argv: str, timeout_seconds: float = 120) -> str:
        """Run a program there, require status 0 and return what it wrote."""
        return self.runner.check(Command(argv, timeout_seconds=timeout_seconds)).text

    def shell(self, script: str, *arguments: str, timeout_seconds: float = 120) -> str:
        """Run a test's own shell script there and return what it wrote."""
        return self.run("sh", "-euc", script, "test", *arguments, timeout_seconds=timeout_seconds)


def node_image() -> str:
    """Return the reference of the image that container nodes are made from; `kubelab up` builds it."""
    return load_catalog().images["node"].reference(IMAGE_PREFIX)


@contextmanager
def bare_hosts(
    group: str, subnet: str, names: Sequence[str], image: str = "", mounts: Sequence[tuple[str, str]] = ()
) -> Iterator[list[Machine]]:
    """Make hosts on a network of their own (a /24 that no other test uses) and remove them, whatever happened."""
    docker = engine.client()
    nodes.remove_cluster(docker, group)
    try:
        nodes.ensure_network(docker, group, subnet)
        addresses = [str(each) for each in list(ip_network(subnet).hosts())[9 : 9 + len(names)]]
        wanted = [
            nodes.NodeContainer(group, name, address, image or node_image(), mounts=tuple(mounts))
            for name, address in zip(names, addresses, strict=True)
        ]
        for each in wanted:
            nodes.ensure_node(docker, each, OWNER)
        yield [Machine(each.name, each.address, ContainerRunner(each.container_name)) for each in wanted]
    finally:
        nodes.remove_cluster(docker, group)
        docker.close()
