"""Which Kubernetes and containerd a host can carry, and with which settings. Pure.

It decides from facts and `host-setup/compatibility.yaml`. A fact that a host did not tell (an empty glibc, systemd 0)
is not judged; an unknown kernel is, because every minor has a minimum of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from kubelab_helpers import resources
from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.hosts.facts import HostFacts

Version = tuple[int, ...]


@dataclass(frozen=True)
class Solution:
    """The versions for a host, how kube-proxy and kubeadm are to be told, and why it is these."""

    kubernetes: str
    containerd: str
    kubeadm_api: str
    proxy_mode: str
    why: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Obstacle:
    """What stands in the way of a pair on a host, and what would take it away."""

    said: str
    remedy: str


@cache
def load_compatibility() -> dict[str, Any]:
    """Return the file's data."""
    import yaml

    found: dict[str, Any] = yaml.safe_load(resources.path("host-setup/compatibility.yaml").read_text())
    return found


def solve_versions(
    facts: HostFacts, carried: Sequence[str], wanted: str | None = None, *, source: str = "auto"
) -> Solution:
    """Return the newest carried Kubernetes that the host can run, or the wanted one, and the containerd for it.

    `source`: where the parts come from, as with --source, which decides what glibc matters to. BlockedError when there
    is none: it says what stands in the way of each, and the nearest pair that the host could run, carried or not.
    InvalidInputError for a wanted version that is not carried.
    """
    data = load_compatibility()
    if wanted is not None and wanted not in carried:
        raise InvalidInputError(
            f"kubelab carries no Kubernetes {wanted}", next_step=f"choose among {', '.join(sorted(carried, key=parse))}"
        )
    candidates = [wanted] if wanted else sorted(carried, key=parse, reverse=True)
    obstacles = {version: _obstacle(facts, minor_of(version), data) for version in candidates}
    fitting = next((version for version, obstacle in obstacles.items() if obstacle is None), None)
    if fitting is None:
        found = {version: obstacle for version, obstacle in obstacles.items() if obstacle}
        raise BlockedError(
            "; ".join(f"Kubernetes {version}: {obstacle.said}" for version, obstacle in found.items()),
            next_step=_nearest(facts, carried, candidates[0], data, found[candidates[0]].remedy),
        )
    passed = tuple(f"not {version}: {obstacle.said}" for version, obstacle in obstacles.items() if obstacle)
    return _solution(facts, fitting, source, data, passed)


def find_obstacle(facts: HostFacts, version: str) -> str | None:
    """Return why the host cannot run this version of Kubernetes, or None."""
    found = _obstacle(facts, minor_of(version), load_compatibility())
    return found.said if found else None


def proxy_mode_of(facts: HostFacts, version: str) -> str:
    """Return kube-proxy's mode: nftables, or iptables where this Kubernetes or the host's kernel is too old for it."""
    data = load_compatibility()
    able = data["kubernetes"][minor_of(version)]["nftables"] and parse(facts.kernel) >= parse(data["nftables_kernel"])
    return "nftables" if able else "iptables"


def kubeadm_api_of(version: str) -> str:
    """Return the version of kubeadm's configuration that this Kubernetes reads, and kubelab has templates in.

    BlockedError where it has none.
    """
    data = load_compatibility()
    api: str = data["kubernetes"].get(minor_of(version), {}).get("kubeadm_api", "no version that kubelab knows")
    if api not in data["kubeadm_apis"]:
        raise BlockedError(
            f"kubeadm {version} reads {api}, and kubelab writes {', '.join(data['kubeadm_apis'])}",
            next_step="take a newer Kubernetes",
        )
    return api


def parse(text: str) -> Version:
    """Return the numbers at the beginning of a version: (5, 14) of `5.14.0-570.el9`; empty when there is none."""
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def minor_of(version: str) -> str:
    """Return `1.37` of `1.37.2`."""
    return ".".join(version.split(".")[:2])


def _obstacle(facts: HostFacts, minor: str, data: Mapping[str, Any]) -> Obstacle | None:
    """Return the first reason why the host cannot run this minor, or None."""
    needs = data["kubernetes"].get(minor)
    if needs is None:
        return Obstacle(f"host-setup/compatibility.yaml says nothing of {minor}", "take another Kubernetes")
    return next(_obstacles(facts, needs, data), None)


def _obstacles(facts: HostFacts, needs: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Obstacle]:
    kernel, oldest = parse(facts.kernel), data["cgroup_v2"]["oldest_kernel"]
    if not kernel:
        yield Obstacle(f"the host's kernel is not known ({facts.kernel or 'no answer'})", "see what `uname -r` says")
    elif kernel < parse(needs["kernel"]):
        yield Obstacle(f"it needs Linux {needs['kernel']}, and this is {facts.kernel}", "take a newer kernel")
    elif facts.cgroup == 2 and kernel < parse(oldest):
        yield Obstacle(
            f"runc needs Linux {oldest} on cgroup v2, and this is {facts.kernel}",
            "boot with systemd.unified_cgroup_hierarchy=0 or a newer kernel",
        )
    if facts.systemd and facts.systemd < data["systemd"]:
        yield Obstacle(
            f"kubelab's units need systemd {data['systemd']}, and this is {facts.systemd}",
            "take a newer release of the distribution",
        )
    if needs["kubeadm_api"] not in data["kubeadm_apis"]:
        yield Obstacle(
            f"its kubeadm reads {needs['kubeadm_api']}, and kubelab writes {', '.join(data['kubeadm_apis'])}",
            "take a newer Kubernetes",
        )
    if _containerd_for(needs, data["containerd"]) is None:
        yield Obstacle(
            f"it needs containerd {needs['containerd'][-1]}, and kubelab carries {', '.join(data['containerd'])}",
            "take an older Kubernetes",
        )


def _containerd_for(needs: Mapping[str, Any], carried: Sequence[str]) -> str | None:
    """Return the newest carried containerd that works with a Kubernetes, or None.

    It works from the oldest release that is tested of its own minor on; a minor newer than all tested ones does too.
    """
    oldest = {minor_of(each): parse(each) for each in needs["containerd"]}
    newest_minor = max(parse(minor) for minor in oldest)
    fitting = [
        each
        for each in carried
        if parse(each) >= oldest.get(minor_of(each), (0,) if parse(minor_of(each)) > newest_minor else (999,))
    ]
    return max(fitting, key=parse, default=None)


def _solution(
    facts: HostFacts, version: str, source: str, data: Mapping[str, Any], passed: tuple[str, ...]
) -> Solution:
    needs = data["kubernetes"][minor_of(version)]
    containerd = _containerd_for(needs, data["containerd"])
    assert containerd is not None, "a version without one has an obstacle"
    mode = proxy_mode_of(facts, version)
    why = [*passed, *_reasons(facts, needs, containerd, source, data)]
    if mode == "iptables":
        why.append(f"kube-proxy in iptables mode: nftables needs Linux {data['nftables_kernel']}")
    warnings = tuple(_warnings(facts, version, source, data))
    return Solution(version, containerd, needs["kubeadm_api"], mode, tuple(why), warnings)


def _reasons(
    facts: HostFacts, needs: Mapping[str, Any], containerd: str, source: str, data: Mapping[str, Any]
) -> Iterator[str]:
    glibc = data["glibc"].get(source)
    yield f"Linux {facts.kernel} is at least {needs['kernel']}"
    if facts.systemd:
        yield f"systemd {facts.systemd} is at least {data['systemd']}"
    if facts.glibc and glibc and parse(facts.glibc) >= parse(glibc):
        yield f"glibc {facts.glibc} is at least {glibc}"
    elif facts.glibc and source == "modules":
        yield "the programs are static, so that glibc does not matter"
    tested = {minor_of(each) for each in needs["containerd"]}
    known = "is tested with it" if minor_of(containerd) in tested else f"is newer than those tested ({min(tested)} on)"
    yield f"containerd {containerd} {known}"


def _warnings(facts: HostFacts, version: str, source: str, data: Mapping[str, Any]) -> Iterator[str]:
    needs, kernel = data["kubernetes"][minor_of(version)], parse(facts.kernel)
    named = [parse(each) for each in needs.get("kernels", ())]
    if named and kernel[0] == named[0][0] and kernel[:2] not in named:
        tested = ", ".join(needs["kernels"])
        yield f"kubeadm {minor_of(version)} is tested with Linux {tested} and 6, and this is {facts.kernel}"
    if facts.cgroup == 1 and needs["cgroup_v1"] == "flag":
        yield "cgroup v1 works with failCgroupV1: false, for as long as Kubernetes has it"
    wanted = data["cgroup_v2"]
    if facts.cgroup == 2 and kernel < parse(wanted["kernel"]):
        yield f"on cgroup v2 Kubernetes wants Linux {wanted['kernel']}, and this is {facts.kernel}"
    if facts.cgroup == 2 and facts.systemd and facts.systemd < wanted["systemd"]:
        yield f"on cgroup v2 runc recommends systemd {wanted['systemd']}, and this is {facts.systemd}"
    glibc = data["glibc"].get(source)
    if facts.glibc and glibc and parse(facts.glibc) < parse(glibc):
        yield (
            f"upstream's kubelet is built on glibc {glibc}, and this is {facts.glibc}: should it not start, "
            "--source modules builds one that needs none"
        )


def _nearest(facts: HostFacts, carried: Sequence[str], wanted: str, data: Mapping[str, Any], remedy: str) -> str:
    """Say which pair comes nearest to the wanted version: a carried one if there is any, else the nearest known."""
    able = [minor for minor in data["kubernetes"] if _obstacle(facts, minor, data) is None]
    if not able:
        return f"{remedy}: no Kubernetes that kubelab knows of runs on this host as it is"
    fitting = [version for version in carried if minor_of(version) in able]
    nearest = min(fitting or able, key=lambda each: abs(parse(each)[1] - parse(wanted)[1]))
    containerd = _containerd_for(data["kubernetes"][minor_of(nearest)], data["containerd"])
    having = "" if fitting else ", of which kubelab carries no parts"
    said = f"the nearest that this host could run is Kubernetes {nearest} with containerd {containerd}{having}"
    return f"{said}; for another, {remedy}"
