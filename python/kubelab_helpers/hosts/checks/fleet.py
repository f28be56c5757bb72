"""What several hosts must not have in common, and what they must."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kubelab_helpers.hosts.findings import Finding, Subject, blocked, note, ok, warning

SKEW_WARNING_SECONDS = 1.0
"""etcd warns of a clock difference above one second."""
SKEW_BLOCKED_SECONDS = 30.0
"""Certificates made now would not be valid yet elsewhere."""
UNIQUE_LINK = (
    "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/install-kubeadm/#verify-mac-address"
)


def check_names(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Each host has a name of its own."""
    twice = _shared(subjects, lambda each: each.name)
    if twice:
        yield blocked("unique-name", "hosts share a name", _tell(twice), "hostnamectl set-hostname NAME", UNIQUE_LINK)


def check_addresses(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Each host has an address of its own."""
    twice = _shared(subjects, lambda each: each.address)
    if twice:
        yield blocked(
            "unique-address", "hosts share an address", _tell(twice), "name each node's address with --address"
        )


def check_machine_ids(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """A copied machine keeps its machine-id, and DHCP and the journal take the two for one."""
    twice = _shared(subjects, lambda each: each.facts.machine_id)
    if twice:
        yield blocked(
            "unique-machine-id",
            "one machine under several names, or clones that share a machine-id",
            _tell(twice),
            "name each machine once; on a copy, empty /etc/machine-id and restart it",
            UNIQUE_LINK,
        )


def check_product_uuids(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Kubeadm asks for hardware numbers that differ; containers on one machine share theirs."""
    twice = _shared(subjects, lambda each: each.facts.product_uuid.lower())
    if twice:
        yield warning(
            "unique-product-uuid",
            "hosts share a hardware number",
            _tell(twice),
            "give the copied machine a new one; containers may share it",
            UNIQUE_LINK,
        )


def check_clocks(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """The clocks agree; told only of hosts that were asked just now, and only what is sure of their difference."""
    asked = [each for each in subjects if each.facts.clock_offset_seconds is not None]
    if len(asked) < 2:
        return
    ahead, first = max((_offset(each) - each.facts.clock_uncertainty_seconds, each.name) for each in asked)
    behind, last = min((_offset(each) + each.facts.clock_uncertainty_seconds, each.name) for each in asked)
    skew = max(0.0, ahead - behind)
    seen = f"{skew:.2f} s apart" + (f": {first} is ahead of {last}" if skew else "")
    if skew >= SKEW_BLOCKED_SECONDS:
        yield blocked("clock-skew", "the clocks are far apart", seen, "set them, and let chrony keep them right")
    elif skew >= SKEW_WARNING_SECONDS:
        yield warning("clock-skew", "the clocks differ", seen, "let chrony keep them right")
    else:
        yield ok("clock-skew", "the clocks agree", seen)


def check_mtus(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """One MTU between the hosts."""
    found = {each.name: each.facts.mtus.get(each.facts.device_of(each.address) or "", 0) for each in subjects}
    if len(set(found.values())) > 1:
        seen = ", ".join(f"{name} {mtu}" for name, mtu in found.items())
        yield warning("same-mtu", "the hosts' MTUs differ", seen, "set network.mtu to the smallest in kubelab.yaml")


def check_machines(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """One architecture, or images for each."""
    found = {each.facts.machine for each in subjects}
    if len(found) > 1:
        yield note(
            "same-machine", "hosts of several architectures", ", ".join(sorted(found)), "images must be built for each"
        )


RULES: tuple[Callable[[Sequence[Subject]], Iterator[Finding]], ...] = (
    check_names,
    check_addresses,
    check_machine_ids,
    check_product_uuids,
    check_clocks,
    check_mtus,
    check_machines,
)


def _offset(subject: Subject) -> float:
    return subject.facts.clock_offset_seconds or 0.0


def _shared(subjects: Sequence[Subject], key: Callable[[Subject], str]) -> dict[str, list[str]]:
    """Return the keys that several hosts have, with those hosts' names."""
    groups: dict[str, list[str]] = {}
    for each in subjects:
        groups.setdefault(key(each), []).append(each.name)
    return {name: hosts for name, hosts in groups.items() if name and len(hosts) > 1}


def _tell(shared: dict[str, list[str]]) -> str:
    return "; ".join(f"{name}: {', '.join(hosts)}" for name, hosts in shared.items())
