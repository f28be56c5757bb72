"""The distributions: their data, and the plan for a host of each, from facts of their own files, origin stated."""

from __future__ import annotations

import copy
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
from kubelab_helpers.hosts import solver
from kubelab_helpers.hosts.distribution import distribution_of, load_distributions
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.file import File
from kubelab_helpers.hosts.packages import Packages
from kubelab_helpers.hosts.plan import desire, plan
from kubelab_helpers.hosts.solver import (
    Solution,
    find_obstacle,
    kubeadm_api_of,
    load_compatibility,
    minor_of,
    parse,
    proxy_mode_of,
    solve_versions,
)
from kubelab_helpers.hosts.state import HostState
from kubelab_helpers.hosts.steps import PREPARATION, system

from .support import bare_host, node_spec

RECORDED: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).resolve().parents[2] / "fixtures" / "hosts" / "distributions.yaml").read_text()
)["hosts"]
NAMES = [each["name"] for each in RECORDED]
CARRIED = ("1.36.3", "1.37.2")
TOO_OLD = ("centos-7", "centos-8", "rhel-8", "rocky-8", "almalinux-8")
# Recorded before addresses were asked for.
WITHOUT_ADDRESS = {("centos-stream-10", "os_release"), ("rocky-10", "os_release")}
DOCS = Path(__file__).resolve().parents[3] / "docs" / "hosts.md"


def recorded_host(name: str) -> dict[str, Any]:
    return next(each for each in RECORDED if each["name"] == name)


def facts_of(name: str) -> HostFacts:
    """Return a bare host with what is recorded of a distribution.

    What it does not record of the kernel, systemd and glibc is not known, so that nothing is decided from a container
    node's; programs, devices and addresses are a container node's.
    """
    recorded = recorded_host(name)
    borrowed = {key: recorded_host(other)[key] for key, other in recorded.get("borrowed", {}).items()}
    recorded, release = {**recorded, **borrowed}, recorded["os_release"]
    return dataclasses.replace(
        bare_host(),
        os_id=release["ID"],
        os_version=release["VERSION_ID"],
        codename=release.get("VERSION_CODENAME", ""),
        os_name=release["PRETTY_NAME"],
        os_id_like=tuple(release.get("ID_LIKE", "").split()),
        kernel=recorded["kernel"],
        systemd=recorded.get("systemd", 0),
        glibc=recorded.get("glibc", ""),
        cgroup=recorded["cgroup"],
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


def test_every_recorded_fact_tells_its_origin() -> None:
    facts = {"os_release", "kernel", "systemd", "glibc", "cgroup"}
    assert len(set(NAMES)) == len(NAMES)
    for host in RECORDED:
        assert host["origin"].keys() == facts & host.keys(), host["name"]
        assert {"os_release", "kernel", "cgroup"} <= host.keys() | host.get("borrowed", {}).keys()
        without = {(host["name"], key) for key, origin in host["origin"].items() if "https://" not in origin}
        assert without <= WITHOUT_ADDRESS


@pytest.mark.parametrize("host", RECORDED, ids=NAMES)
def test_the_documentation_says_what_is_recorded(host: dict[str, Any]) -> None:
    """A distribution that is claimed has a row, and the row is what the file has: nothing more is claimed."""
    lent = host.get("borrowed", {})
    told = [
        str(host[key]) if key in host else f"of {lent[key]}" if key in lent else "-"
        for key in ("kernel", "systemd", "glibc", "cgroup")
    ]
    row = " | ".join([host["os_release"]["PRETTY_NAME"], *told])
    assert f"| {row} |" in DOCS.read_text()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in TOO_OLD])
def test_a_host_of_each_gets_a_whole_plan(name: str) -> None:
    """The packages that a bare host lacks are named in its distribution's words, and the plan is complete."""
    facts = facts_of(name)
    (packages,) = system.desire_packages(facts, node_spec())
    assert isinstance(packages, Packages)
    assert packages.family == ("apt" if facts.os_id in {"debian", "ubuntu"} else "dnf")
    assert packages.names == ("ipset", "socat")
    found = solve_versions(facts, CARRIED)
    assert (found.kubernetes, found.containerd, found.kubeadm_api) == ("1.37.2", "2.4.2", "v1beta4")
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
    assert proxy_mode_of(with_kernel(kernel), version) == mode


@pytest.mark.parametrize("name", TOO_OLD)
def test_what_a_kernel_cannot_carry(name: str) -> None:
    """Release 7 has Linux 3.10 and release 8 has 4.18: both end at 1.31, which is older than what kubelab carries."""
    with pytest.raises(BlockedError) as raised:
        solve_versions(facts_of(name), CARRIED)
    assert f"Kubernetes 1.37.2: it needs Linux 5.4, and this is {facts_of(name).kernel}" in raised.value.what
    assert raised.value.next_step == (
        "the nearest that this host could run is Kubernetes 1.31 with containerd 2.4.2, of which kubelab carries no "
        "parts; for another, take a newer kernel"
    )
    old = solve_versions(facts_of(name), ("1.28.15", "1.31.14", *CARRIED))
    assert (old.kubernetes, old.proxy_mode) == ("1.31.14", "iptables")
    assert any(each.startswith("not 1.37.2: it needs Linux 5.4") for each in old.why)


def test_an_older_kubernetes_is_refused_for_its_configuration() -> None:
    """Its kubeadm reads v1beta3, of which there are no templates; the nearest that does not is named."""
    with pytest.raises(
        BlockedError, match=r"1\.30\.14: its kubeadm reads v1beta3, and kubelab writes v1beta4"
    ) as raised:
        solve_versions(bare_host(), ("1.30.14",))
    assert "is Kubernetes 1.31 with containerd 2.4.2, of which" in raised.value.next_step
    with pytest.raises(BlockedError, match=r"kubeadm 1\.30\.14 reads v1beta3"):
        kubeadm_api_of("1.30.14")
    assert kubeadm_api_of("1.37.2") == "v1beta4"


def test_a_kernel_that_nothing_runs_on() -> None:
    with pytest.raises(BlockedError) as raised:
        solve_versions(with_kernel("2.6.32"), CARRIED)
    assert "take a newer kernel: no Kubernetes that kubelab knows of runs on this host" in raised.value.next_step


@pytest.mark.parametrize(
    ("changes", "said", "remedy"),
    [
        ({"systemd": 234}, "kubelab's units need systemd 235, and this is 234", "newer release of the distribution"),
        ({"kernel": "4.14.0", "cgroup": 2}, "needs Linux 5.4, and this is 4.14.0", "take a newer kernel"),
    ],
)
def test_what_a_host_cannot_carry(changes: dict[str, Any], said: str, remedy: str) -> None:
    facts = dataclasses.replace(bare_host(), **changes)
    with pytest.raises(BlockedError, match=said) as raised:
        solve_versions(facts, CARRIED)
    assert remedy in raised.value.next_step
    assert said in str(find_obstacle(facts, "1.37.2"))


@pytest.mark.parametrize(
    ("source", "warned"), [("auto", True), ("upstream", True), ("modules", False), ("bundle", False)]
)
def test_an_old_glibc_matters_to_programs_that_are_linked_to_it(source: str, warned: bool) -> None:
    """Upstream's kubelet may run on an older one than it was built on: nobody says so, and it is not refused."""
    found = solve_versions(dataclasses.replace(bare_host(), glibc="2.28"), CARRIED, source=source)
    assert found.kubernetes == "1.37.2"
    assert any("built on glibc 2.31, and this is 2.28" in each for each in found.warnings) is warned
    assert not any(each.startswith("glibc") for each in found.why)


def test_runc_on_cgroup_v2_needs_a_kernel_of_its_own() -> None:
    """An old Kubernetes would take Linux 4.14; runc on cgroup v2 would not."""
    with pytest.raises(BlockedError, match=r"runc needs Linux 4\.15 on cgroup v2"):
        solve_versions(with_kernel("4.14.0", cgroup=2), ("1.31.14",))
    assert solve_versions(with_kernel("4.14.0", cgroup=1), ("1.31.14",)).kubernetes == "1.31.14"


def test_the_nearest_is_a_carried_one_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that was asked for is refused, and the other carried one is named."""
    data = copy.deepcopy(load_compatibility())
    data["kubernetes"]["1.37"]["kernel"] = "6.0"
    monkeypatch.setattr(solver, "load_compatibility", lambda: data)
    with pytest.raises(BlockedError, match="it needs Linux 6") as raised:
        solve_versions(with_kernel("5.15.0"), CARRIED, "1.37.2")
    assert raised.value.next_step.startswith(
        "the nearest that this host could run is Kubernetes 1.36.3 with containerd"
    )
    assert "no parts" not in raised.value.next_step
    found = solve_versions(with_kernel("5.15.0"), CARRIED)
    assert found.kubernetes == "1.36.3"
    assert found.why[0] == "not 1.37.2: it needs Linux 6.0, and this is 5.15.0"


@pytest.mark.parametrize(
    ("containerd", "kubernetes", "chosen"),
    [
        (["2.4.2"], "1.37.2", "2.4.2"),
        (["2.3.0", "2.4.2"], "1.37.2", "2.4.2"),
        (["2.3.1"], "1.37.2", "2.3.1"),
        (["2.2.9"], "1.37.2", None),
        (["2.2.0"], "1.36.3", "2.2.0"),
        (["2.1.4"], "1.35.4", None),
        (["2.1.5"], "1.35.4", "2.1.5"),
    ],
)
def test_pairs_of_containerd(
    monkeypatch: pytest.MonkeyPatch, containerd: list[str], kubernetes: str, chosen: str | None
) -> None:
    """A containerd fits from the release of its minor on that is tested with the Kubernetes."""
    data = {**load_compatibility(), "containerd": containerd}
    monkeypatch.setattr(solver, "load_compatibility", lambda: data)
    if chosen is None:
        with pytest.raises(BlockedError, match=f"it needs containerd .* and kubelab carries {containerd[0]}"):
            solve_versions(bare_host(), (kubernetes,))
    else:
        assert solve_versions(bare_host(), (kubernetes,)).containerd == chosen


def test_the_carried_containerd_is_the_catalogues() -> None:
    versions = yaml.safe_load(resources.path("host-setup/artifacts.yaml").read_text())["versions"]
    assert load_compatibility()["containerd"] == [versions["containerd"]]
    assert {minor_of(each) for each in versions["kubernetes"]} <= load_compatibility()["kubernetes"].keys()


def test_the_reasons_name_every_fact_that_was_judged() -> None:
    why = solve_versions(facts_of("ubuntu-22.04"), CARRIED).why
    assert why == (
        "Linux 5.15.0-190-generic is at least 5.4",
        "systemd 249 is at least 235",
        "glibc 2.35 is at least 2.31",
        "containerd 2.4.2 is tested with it",
    )
    static = solve_versions(facts_of("ubuntu-22.04"), CARRIED, "1.36.3", source="modules").why
    assert "the programs are static, so that glibc does not matter" in static
    assert "containerd 2.4.2 is newer than those tested (2.2 on)" in static


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
    old = solve_versions(with_kernel("5.4.0", cgroup=2, systemd=243), CARRIED).warnings
    assert old == (
        "on cgroup v2 Kubernetes wants Linux 5.8, and this is 5.4.0",
        "on cgroup v2 runc recommends systemd 244, and this is 243",
    )


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
