"""The distributions: their data, and the plan for a host of each, from facts of their own files, origin stated."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from kubelab_helpers import resources
from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.hosts.distribution import distribution_of, load_distributions
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.file import File
from kubelab_helpers.hosts.packages import Packages
from kubelab_helpers.hosts.plan import desire, plan
from kubelab_helpers.hosts.solver import Solution, load_compatibility, parse, proxy_mode_of, solve_versions
from kubelab_helpers.hosts.state import HostState
from kubelab_helpers.hosts.steps import PREPARATION, system

from .support import bare_host, node_spec

RECORDED: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).resolve().parents[2] / "fixtures" / "hosts" / "distributions.yaml").read_text()
)
NAMES = [each["name"] for each in RECORDED]
CARRIED = ("1.36.3", "1.37.2")
TOO_OLD = ("centos-7", "centos-8", "rhel-8", "rocky-8")


def facts_of(name: str) -> HostFacts:
    """Return a bare host with what a distribution's own files say; the rest is that of a container node."""
    recorded = next(each for each in RECORDED if each["name"] == name)
    release = recorded["os_release"]
    return dataclasses.replace(
        bare_host(),
        os_id=release["ID"],
        os_version=release["VERSION_ID"],
        codename=release.get("VERSION_CODENAME", ""),
        os_name=release["PRETTY_NAME"],
        os_id_like=tuple(release.get("ID_LIKE", "").split()),
        kernel=recorded.get("kernel", bare_host().kernel),
    )


def with_kernel(kernel: str, **changes: Any) -> HostFacts:
    return dataclasses.replace(bare_host(), kernel=kernel, **changes)


@pytest.mark.parametrize(
    "file", sorted(resources.path("host-setup/distributions").glob("*.yaml")), ids=lambda f: f.stem
)
def test_the_data_is_of_its_schema(file: Path) -> None:
    schema = json.loads(resources.path("host-setup/distributions.schema.json").read_text())
    data = yaml.safe_load(file.read_text())
    jsonschema.Draft202012Validator(schema).validate(data)
    assert data["id"] == file.stem
    assert data.get("like") in {None, *load_distributions()}


def test_every_recorded_host_tells_its_origin() -> None:
    assert all(each["origin"] for each in RECORDED)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in TOO_OLD])
def test_a_host_of_each_gets_a_whole_plan(name: str) -> None:
    """The packages that a bare host lacks are named in its distribution's words, and the plan is complete."""
    facts = facts_of(name)
    (packages,) = system.desire_packages(facts, node_spec())
    assert isinstance(packages, Packages)
    assert packages.family == ("apt" if facts.os_id in {"debian", "ubuntu"} else "dnf")
    assert packages.names == ("ipset", "socat")
    assert solve_versions(facts, CARRIED).kubernetes == "1.37.2"
    changes = plan(name, desire(PREPARATION, facts, node_spec()), HostState()).changes
    assert len(changes) > 40


def test_selinux_is_made_permissive_and_enforcing_again() -> None:
    text = "# This file controls the state of SELinux on the system.\nSELINUX=enforcing\nSELINUXTYPE=targeted\n"
    facts = dataclasses.replace(facts_of("rhel-9"), selinux="enforcing", contents={"/etc/selinux/config": text})
    file, now = system.desire_permissive_selinux(facts, node_spec())
    assert isinstance(file, File)
    assert file.content.decode() == text.replace("=enforcing", "=permissive")
    assert [command.argv for command in now.operations()] == [("setenforce", "0")]
    assert [command.argv for command in now.undo(HostState())] == [("setenforce", "1")]
    after = dataclasses.replace(facts, selinux="permissive", contents={"/etc/selinux/config": file.content.decode()})
    assert system.desire_permissive_selinux(after, node_spec()) == []
    assert system.desire_permissive_selinux(facts_of("debian-13"), node_spec()) == []


def test_names_differ_between_the_families() -> None:
    bare = dataclasses.replace(facts_of("rocky-9"), programs=frozenset())
    (packages,) = system.desire_packages(bare, node_spec())
    assert {"conntrack-tools", "iproute"} <= set(packages.operations()[1].argv)
    assert packages.operations()[1].argv[5] == "dnf"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"os_id": "ubuntu", "os_version": "18.04"}, "of ubuntu, use 20.04, 22.04, 24.04, 26.04"),
        ({"os_id": "linuxmint", "os_id_like": ("ubuntu", "debian")}, "its kin ubuntu 20.04"),
        ({"os_id": "plan9", "os_id_like": ()}, "use one of: almalinux 8, 9, 10"),
        ({"os_id": "rhel", "os_version": "11.0"}, "of rhel, use 8, 9, 10"),
    ],
)
def test_an_unknown_one_is_refused_and_the_nearest_named(changes: dict[str, Any], said: str) -> None:
    facts = dataclasses.replace(bare_host(), **changes)
    with pytest.raises(BlockedError, match="which kubelab does not know") as raised:
        distribution_of(facts, load_distributions())
    assert said in raised.value.next_step


@pytest.mark.parametrize(
    ("kernel", "version", "mode"),
    [
        ("7.0.0-1010-aws", "1.37.2", "nftables"),
        ("6.12.0-228.el10.x86_64", "1.37.2", "nftables"),
        ("5.14.0-570.12.1.el9_6.x86_64", "1.37.2", "nftables"),
        ("5.4.0-216-generic", "1.37.2", "iptables"),
    ],
)
def test_what_a_kernel_can_carry(kernel: str, version: str, mode: str) -> None:
    found = solve_versions(with_kernel(kernel), CARRIED)
    assert (found.kubernetes, found.proxy_mode, found.kubeadm_api) == (version, mode, "v1beta4")
    assert proxy_mode_of(with_kernel(kernel)) == mode


@pytest.mark.parametrize("name", TOO_OLD)
def test_what_a_kernel_cannot_carry(name: str) -> None:
    """Release 7 has Linux 3.10 and release 8 has 4.18: both end at 1.31, which is older than what kubelab carries."""
    with pytest.raises(BlockedError) as raised:
        solve_versions(facts_of(name), CARRIED)
    assert f"Kubernetes 1.37.2: it needs Linux 5.4, and this is {facts_of(name).kernel}" in raised.value.what
    assert raised.value.next_step.startswith("the newest that this host could run is Kubernetes 1.31, of which kubelab")
    old = solve_versions(facts_of(name), ("1.28.15", "1.31.14", *CARRIED))
    assert (old.kubernetes, old.proxy_mode) == ("1.31.14", "iptables")
    assert any(each.startswith("not 1.37.2: it needs Linux 5.4") for each in old.why)


def test_an_older_kubernetes_has_an_older_configuration() -> None:
    assert solve_versions(with_kernel("4.4.0"), ("1.30.14",)).kubeadm_api == "v1beta3"


def test_a_kernel_that_nothing_runs_on() -> None:
    with pytest.raises(BlockedError) as raised:
        solve_versions(with_kernel("2.6.32"), CARRIED)
    assert "use a host with a newer kernel" in raised.value.next_step


def test_a_kernel_that_is_not_known() -> None:
    with pytest.raises(BlockedError, match="kernel is not known"):
        solve_versions(with_kernel(""), CARRIED)
    assert parse("5.10+x") == (5, 10)
    assert parse("6.12.48+deb13-amd64") == (6, 12, 48)


def test_a_wanted_version() -> None:
    assert solve_versions(bare_host(), CARRIED, "1.36.3").kubernetes == "1.36.3"
    with pytest.raises(InvalidInputError, match=r"kubelab carries no Kubernetes 1\.29\.0"):
        solve_versions(bare_host(), CARRIED, "1.29.0")


def test_warnings() -> None:
    tested: Solution = solve_versions(with_kernel("5.14.0-1.el9", cgroup=1), CARRIED)
    assert len(tested.warnings) == 2
    assert "is tested with Linux 5.4, 5.10, 5.15 and 6" in tested.warnings[0]
    assert solve_versions(with_kernel("5.10.0-30-amd64", cgroup=2), CARRIED).warnings == ()


def test_the_window_of_kubernetes_is_in_the_data() -> None:
    minors = list(load_compatibility()["kubernetes"])
    assert minors == sorted(minors, key=parse)
    assert {"1.35", "1.36", "1.37"} <= set(minors)


def test_a_hundred_hosts_are_planned_in_time() -> None:
    """The target is 5 s for a hundred; the plan alone must stay far below it on any machine."""
    began = time.monotonic()
    for number in range(100):
        facts = facts_of(NAMES[number % len(NAMES)])
        plan(f"host-{number}", desire(PREPARATION, facts, node_spec()), HostState())
    assert time.monotonic() - began < 5
