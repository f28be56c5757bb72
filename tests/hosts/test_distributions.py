"""Debian 11 and 13 as hosts, for real: each a control plane, each a worker of the other, each as it was afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from kubelab_helpers import resources
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.cluster import engine, members, nodes
from kubelab_helpers.cluster.spec import HostSpec, LabSpec, Ports
from kubelab_helpers.hosts.reset import reset_host
from kubelab_helpers.hosts.runner import ContainerRunner, LocalRunner
from kubelab_helpers.images.base import base_reference, has_image, import_base
from kubelab_helpers.images.client import find_build_client
from kubelab_helpers.images.secrets import build_secrets
from kubelab_helpers.lab import cluster, upkeep
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.verification import check_network
from kubelab_helpers.result import SilentReporter

from .machines import OWNER, Machine
from .snapshot import steady_facts, take_snapshot

pytestmark = pytest.mark.slow
NAME, NETWORK = "kl4d", "172.30.236.0/24"
RELEASES = {"bullseye": "11", "trixie": "13"}


@dataclass(frozen=True)
class Pair:
    """A control plane of one release, a worker of the other, and how both stood before."""

    lab: Lab
    machines: dict[str, Machine]
    before: dict[str, set[str]]


def build_node_image(suite: str) -> str:
    """Build the container node's image on another Debian, and return its name."""
    store, docker = Store(), engine.client()
    name = f"debian-{suite}"
    archive, key = store.fetch([name], SilentReporter())[name], store.catalog.key(name)
    if not has_image(docker, base_reference(name, key)):
        import_base(docker, name, key, archive)
    docker.close()
    image = f"localhost/kubelab-tests/node-{suite}:1"
    with build_secrets() as secrets:
        command = find_build_client().command(
            resources.path("images/node"),
            image,
            arguments={"BASE": base_reference(name, key)},
            labels={},
            secrets=secrets,
            timeout_seconds=600,
        )
        LocalRunner().check(command)
    return image


@pytest.fixture(scope="module", params=[("bullseye", "trixie"), ("trixie", "bullseye")], ids=" and ".join)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Make a cluster of two releases."""
    ports = Ports(http=32080, https=32444, api=37443, registry=35001)
    hosts = (HostSpec("control", "control-plane"), HostSpec("worker", "worker"))
    lab = Lab(
        LabSpec(NAME, hosts=hosts, container_subnet=NETWORK, ports=ports),
        tmp_path_factory.mktemp("lab"),
        SilentReporter(),
    )
    nodes.remove_cluster(lab.engine, NAME)
    try:
        nodes.ensure_network(lab.engine, NAME, NETWORK)
        machines = {}
        for host, suite in zip(hosts, request.param, strict=True):
            nodes.ensure_node(lab.engine, lab.container(host, build_node_image(suite)), OWNER)
            runner = ContainerRunner(lab.container_name(host.name))
            machines[host.name] = Machine(host.name, lab.spec.address_of(host.name), runner)
            assert steady_facts(machines[host.name]).os_version == RELEASES[suite]
        before = {name: take_snapshot(machine) for name, machine in machines.items()}
        for stage in (
            cluster.prepare_nodes,
            cluster.make_control_plane,
            cluster.install_network,
            cluster.join_workers,
            cluster.wait_until_ready,
            upkeep.enable_snapshots,
            upkeep.enable_renewal,
            cluster.end_runs,
        ):
            stage(lab)
        yield Pair(lab, machines, before)
    finally:
        nodes.remove_cluster(lab.engine, NAME)


def test_both_are_ready_and_a_second_time_changes_nothing(pair: Pair) -> None:
    acting = members.find_acting([pair.machines["control"].runner])
    assert {member.name for member in members.read_members(acting) if member.ready} == {"control", "worker"}
    assert cluster.prepare_nodes(pair.lab)[1] == "0 changes"


def test_every_connection_is_possible_that_must_be(pair: Pair) -> None:
    verdicts = check_network(pair.lab)
    assert [each for each in verdicts if not each.ok] == []


def test_a_reset_leaves_each_as_it_was(pair: Pair) -> None:
    for name in ("worker", "control"):
        machine = pair.machines[name]
        assert reset_host(machine.runner, name, SilentReporter()) > 40
        assert take_snapshot(machine) == pair.before[name], name
