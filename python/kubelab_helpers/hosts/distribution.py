"""What differs between Linux distributions, read from `host-setup/distributions/*.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

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
    overrides: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    """By version, the commands that it has otherwise."""

    def version_of(self, facts: HostFacts) -> str | None:
        """Return which of its versions a host has, `9` for Red Hat's 9.6; None for none of them."""
        return next(
            (each for each in (facts.os_version, facts.os_version.split(".")[0]) if each in self.versions), None
        )


def load_distributions() -> dict[str, Distribution]:
    """Return every known distribution by its os-release ID."""
    import yaml

    folder = resources.path("host-setup/distributions")
    data = {file.stem: yaml.safe_load(file.read_text()) for file in sorted(folder.glob("*.yaml"))}
    return {each["id"]: _distribution({**data.get(each.get("like", ""), {}), **each}) for each in data.values()}


def distribution_of(facts: HostFacts, known: dict[str, Distribution]) -> Distribution:
    """Return the host's distribution, as its version has it; BlockedError names the nearest if kubelab knows it not."""
    found = known.get(facts.os_id)
    version = found.version_of(facts) if found else None
    if found is None or version is None:
        raise BlockedError(
            f"{facts.hostname} runs {facts.os_id} {facts.os_version}, which kubelab does not know",
            next_step=_suggestion(facts, found, known),
        )
    other = found.overrides.get(version, {})
    return replace(found, refresh=other.get("refresh", found.refresh), install=other.get("install", found.install))


def _suggestion(facts: HostFacts, found: Distribution | None, known: dict[str, Distribution]) -> str:
    if found:
        return f"of {found.id}, use {', '.join(found.versions)}"
    kin = next((known[name] for name in facts.os_id_like if name in known), None)
    near = f"its kin {kin.id} {', '.join(kin.versions)} is known; " if kin else ""
    return near + "use one of: " + "; ".join(f"{each.id} {', '.join(each.versions)}" for each in known.values())


def _distribution(data: dict[str, Any]) -> Distribution:
    overrides = {
        version: {key: tuple(argv) for key, argv in changes.items()}
        for version, changes in data.get("overrides", {}).items()
    }
    return Distribution(
        id=data["id"],
        versions=tuple(data["versions"]),
        refresh=tuple(data["refresh"]),
        install=tuple(data["install"]),
        environment=tuple(data["environment"].items()),
        programs=data["programs"],
        overrides=overrides,
    )
