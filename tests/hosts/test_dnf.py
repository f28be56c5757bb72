"""The dnf path, for real: Debian's dnf and rpm against a local repository, on a host that says it is Rocky Linux 9."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelab_helpers.errors import PartlyDoneError
from kubelab_helpers.hosts.distribution import load_distributions
from kubelab_helpers.hosts.executor import converge, end_run
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.rollback import apply_rollback, read_rollback
from kubelab_helpers.hosts.runner import LocalRunner
from kubelab_helpers.hosts.spec import NodeSpec
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.hosts.steps.system import desire_packages
from kubelab_helpers.images.client import find_build_client
from kubelab_helpers.images.secrets import build_secrets
from kubelab_helpers.result import SilentReporter

from .machines import Machine, bare_hosts, node_image

pytestmark = pytest.mark.slow
IMAGE = "localhost/kubelab-tests/dnf:1"
FOLDER = Path(__file__).parent / "images" / "dnf"
STEPS = (Step("packages", desire_packages),)
NEEDED = {"conntrack-tools", "ethtool", "ipset", "socat"}
BROUGHT = {"libnetfilter_cthelper"}


@pytest.fixture(scope="module")
def host() -> Iterator[Machine]:
    """Make the host."""
    with build_secrets() as secrets:
        arguments = {"BASE": node_image()}
        build = find_build_client().command(
            FOLDER, IMAGE, arguments=arguments, labels={}, secrets=secrets, timeout_seconds=600
        )
        LocalRunner().check(build)
    with bare_hosts("kl4r", "172.30.237.0/24", ("rocky",), IMAGE) as (machine,):
        yield machine


def spec() -> NodeSpec:
    """Return a node of which only the distributions matter here."""
    return NodeSpec(
        cluster="c",
        name="rocky",
        role="worker",
        address="192.0.2.1",
        control_plane_addresses=(),
        endpoint="c:6443",
        kubernetes_version="1.37.2",
        pod_cidr="10.244.0.0/16",
        service_cidr="10.96.0.0/12",
        image_prefix="x",
        distributions=load_distributions(),
    )


def install(machine: Machine) -> int:
    made = converge(machine.runner, STEPS, spec(), SilentReporter(), "packages")
    end_run(machine.runner, probe_state(machine.runner, ()))
    return made


def roll_back(machine: Machine) -> int:
    return apply_rollback(machine.runner, read_rollback(machine.runner, "rocky"), SilentReporter(), "rollback")


def installed(machine: Machine) -> set[str]:
    return set(machine.shell("rpm --query --all --queryformat '%{NAME}\\n'").split())


def test_missing_programs_come_by_dnf_with_what_they_need(host: Machine) -> None:
    assert installed(host) == set()
    assert install(host) > 0
    assert installed(host) == NEEDED | BROUGHT
    host.shell("conntrack; socat; ipset; ethtool")


def test_a_second_time_changes_nothing(host: Machine) -> None:
    assert install(host) == 0


def test_what_somebody_else_needs_is_not_taken_away(host: Machine) -> None:
    """Dnf would remove it along; the rollback is refused instead, names it, and goes on once it is gone."""
    host.shell("dnf --assumeyes --quiet install theirs")
    with pytest.raises(PartlyDoneError, match="theirs"):
        roll_back(host)
    assert installed(host) == NEEDED | BROUGHT | {"theirs"}
    host.shell("dnf --assumeyes --quiet remove --noautoremove theirs")


def test_a_rollback_takes_all_of_it_back(host: Machine) -> None:
    assert roll_back(host) > 0
    assert installed(host) == set()
    assert host.shell("command -v conntrack socat ipset ethtool || true") == ""


def test_what_was_there_before_stays(host: Machine) -> None:
    host.shell("dnf --assumeyes --quiet install libnetfilter_cthelper socat")
    assert install(host) > 0
    assert installed(host) == NEEDED | BROUGHT
    assert roll_back(host) > 0
    assert installed(host) == {"libnetfilter_cthelper", "socat"}
