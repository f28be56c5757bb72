"""The rules of `kubelab-host check`: from facts to findings. Pure; each rule tells what is well too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from kubelab_helpers.hosts.checks import capacity, fleet, kernel, network, occupied, packet_filter, system
from kubelab_helpers.hosts.findings import Finding, Subject

Rule = Callable[[Subject], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    capacity.check_processors,
    capacity.check_memory,
    capacity.check_disk,
    system.check_distribution,
    system.check_init,
    system.check_rights,
    system.check_name,
    system.check_time,
    system.check_security_modules,
    kernel.check_machine,
    kernel.check_versions,
    kernel.check_features,
    kernel.check_cgroup,
    kernel.check_swap,
    kernel.check_oom_score,
    network.check_addresses,
    network.check_route,
    network.check_ranges,
    network.check_mtu,
    network.check_resolver,
    network.check_firewall,
    packet_filter.check_forwarding,
    packet_filter.check_input,
    network.check_proxy,
    occupied.check_ports,
    occupied.check_cluster,
    occupied.check_runtimes,
    occupied.check_cni,
)


def check_hosts(subjects: Sequence[Subject]) -> list[Finding]:
    """Return what every rule finds on each host, and what the rules for several hosts find across them."""
    return [*(finding for subject in subjects for finding in check_host(subject)), *check_fleet(subjects)]


def check_host(subject: Subject) -> list[Finding]:
    """Return what every rule for one host finds on it."""
    return [replace(finding, host=subject.name) for rule in RULES for finding in rule(subject)]


def check_fleet(subjects: Sequence[Subject]) -> list[Finding]:
    """Return what the rules for several hosts find across them."""
    return [finding for rule in fleet.RULES for finding in rule(subjects)]
