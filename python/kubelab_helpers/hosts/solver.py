"""Which Kubernetes a host can carry, and with which settings: from facts and `host-setup/compatibility.yaml`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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


@cache
def load_compatibility() -> dict[str, Any]:
    """Return the file's data."""
    import yaml

    found: dict[str, Any] = yaml.safe_load(resources.path("host-setup/compatibility.yaml").read_text())
    return found


def solve_versions(facts: HostFacts, carried: Sequence[str], wanted: str | None = None) -> Solution:
    """Return the newest of the carried Kubernetes versions that the host can run, or the wanted one.

    BlockedError when there is none: it says what stands in the way of each, and the nearest minor that the host could
    run, carried or not. InvalidInputError for a wanted version that is not carried.
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
        raise BlockedError(
            "; ".join(f"Kubernetes {version}: {obstacle}" for version, obstacle in obstacles.items()),
            next_step=_nearest(facts, carried, data),
        )
    passed = tuple(f"not {version}: {obstacle}" for version, obstacle in obstacles.items() if obstacle)
    return _solution(facts, fitting, data, passed)


def find_obstacle(facts: HostFacts, version: str) -> str | None:
    """Return why the host cannot run this version of Kubernetes, or None."""
    return _obstacle(facts, minor_of(version), load_compatibility())


def proxy_mode_of(facts: HostFacts) -> str:
    """Return kube-proxy's mode for a host: nftables, or iptables where the kernel is too old for it."""
    kernel = parse(facts.kernel)
    return "nftables" if kernel >= parse(load_compatibility()["nftables_kernel"]) else "iptables"


def parse(text: str) -> Version:
    """Return the numbers at the beginning of a version: (5, 14) of `5.14.0-570.el9`; empty when there is none."""
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def minor_of(version: str) -> str:
    """Return `1.37` of `1.37.2`."""
    return ".".join(version.split(".")[:2])


def _obstacle(facts: HostFacts, minor: str, data: Mapping[str, Any]) -> str | None:
    """Return why the host cannot run this minor, or None."""
    needs = data["kubernetes"].get(minor)
    if needs is None:
        return f"host-setup/compatibility.yaml says nothing of {minor}"
    if not parse(facts.kernel):
        return f"the host's kernel is not known ({facts.kernel or 'no answer'})"
    if parse(facts.kernel) < parse(needs["kernel"]):
        return f"it needs Linux {needs['kernel']}, and this is {facts.kernel}"
    return None


def _solution(facts: HostFacts, version: str, data: Mapping[str, Any], passed: tuple[str, ...]) -> Solution:
    needs = data["kubernetes"][minor_of(version)]
    mode = proxy_mode_of(facts) if needs["nftables"] else "iptables"
    why = [*passed, f"Linux {facts.kernel} is at least {needs['kernel']}"]
    if mode == "iptables":
        why.append(f"kube-proxy in iptables mode: nftables needs Linux {data['nftables_kernel']}")
    return Solution(
        version, data["containerd"], needs["kubeadm_api"], mode, tuple(why), tuple(_warnings(facts, version, needs))
    )


def _warnings(facts: HostFacts, version: str, needs: Mapping[str, Any]) -> list[str]:
    found = []
    kernel = parse(facts.kernel)
    named = [parse(each) for each in needs.get("kernels", ())]
    if named and kernel[0] == named[0][0] and kernel[:2] not in named:
        tested = ", ".join(needs["kernels"])
        found.append(f"kubeadm {minor_of(version)} is tested with Linux {tested} and 6, and this is {facts.kernel}")
    if facts.cgroup == 1 and needs["cgroup_v1"] == "flag":
        found.append("cgroup v1 works with failCgroupV1: false, for as long as Kubernetes has it")
    return found


def _nearest(facts: HostFacts, carried: Sequence[str], data: Mapping[str, Any]) -> str:
    able = [minor for minor in data["kubernetes"] if _obstacle(facts, minor, data) is None]
    if not able:
        return "use a host with a newer kernel: no Kubernetes that kubelab knows of runs on this one"
    nearest = max(able, key=parse)
    having = "" if any(minor_of(version) == nearest for version in carried) else ", of which kubelab carries no parts"
    return f"the newest that this host could run is Kubernetes {nearest}{having}; a newer kernel opens the rest"
