"""What differs between Linux distributions, read from `host-setup/distributions/*.yaml`."""

from __future__ import annotations

from dataclasses import dataclass

from kubelab_helpers import resources
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.facts import HostFacts


@dataclass(frozen=True)
class Distribution:
    """One distribution: how its packages are installed, and which package brings which program."""

    id: str
    versions: tuple[str, ...]
    refresh: tuple[str, ...]
    install: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    programs: dict[str, str]


def load_distributions() -> dict[str, Distribution]:
    """Return every known distribution by its os-release ID."""
    import yaml

    found = {}
    for file in sorted(resources.path("host-setup/distributions").glob("*.yaml")):
        data = yaml.safe_load(file.read_text())
        found[data["id"]] = Distribution(
            id=data["id"],
            versions=tuple(data["versions"]),
            refresh=tuple(data["refresh"]),
            install=tuple(data["install"]),
            environment=tuple(data["environment"].items()),
            programs=data["programs"],
        )
    return found


def distribution_of(facts: HostFacts, known: dict[str, Distribution]) -> Distribution:
    """Return the host's distribution; BlockedError if kubelab does not know it."""
    found = known.get(facts.os_id)
    if found is None or facts.os_version not in found.versions:
        names = "; ".join(f"{each.id} {', '.join(each.versions)}" for each in known.values())
        raise BlockedError(
            f"{facts.hostname} runs {facts.os_id} {facts.os_version}, which kubelab does not know",
            next_step=f"use one of: {names}",
        )
    return found
