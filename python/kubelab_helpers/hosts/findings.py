"""What a check finds: one statement about a host or about several, with what was seen and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.spec import Role


class Severity(StrEnum):
    """How much a finding weighs, from nothing to do to nothing can be done before it is mended."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Finding:
    """One statement. `host` is empty for what concerns several; `id` stays the same between releases."""

    id: str
    severity: Severity
    title: str
    seen: str = ""
    remedy: str = ""
    link: str = ""
    host: str = ""


@dataclass(frozen=True)
class Subject:
    """One host under check, and what it is to become."""

    facts: HostFacts
    role: Role
    pod_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/12"
    carried: tuple[str, ...] = ("1.37.2",)
    """The Kubernetes versions that kubelab has parts of."""
    node_name: str = ""
    """The name that it was given as a node; empty for the host's own."""
    node_address: str = ""
    """The address that was named for it; empty for that of its default device."""

    @property
    def name(self) -> str:
        """The name that the host would be a node by."""
        return self.node_name or self.facts.hostname

    @property
    def address(self) -> str:
        """The address that the host would be a node by: the named one, else its default device's, else its first."""
        if self.node_address:
            return self.node_address
        found = [address for device, address in self.facts.addresses if device in self.facts.default_devices]
        return (found or [address for _, address in self.facts.addresses] or [""])[0]


def ok(name: str, title: str, seen: str = "") -> Finding:
    """Return a finding with nothing to do."""
    return Finding(name, Severity.OK, title, seen)


def note(name: str, title: str, seen: str = "", remedy: str = "", link: str = "") -> Finding:
    """Return a finding that is good to know."""
    return Finding(name, Severity.NOTE, title, seen, remedy, link)


def warning(name: str, title: str, seen: str, remedy: str, link: str = "") -> Finding:
    """Return a finding that will be felt sooner or later."""
    return Finding(name, Severity.WARNING, title, seen, remedy, link)


def blocked(name: str, title: str, seen: str, remedy: str, link: str = "") -> Finding:
    """Return a finding that must be mended first."""
    return Finding(name, Severity.BLOCKED, title, seen, remedy, link)


def worst(findings: Iterable[Finding]) -> Severity:
    """Return the heaviest severity among findings; OK for none."""
    order = list(Severity)
    return max((each.severity for each in findings), key=order.index, default=Severity.OK)
