"""What differs between Linux distributions, read from `host-setup/distributions/*.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubelab_helpers import resources
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.facts import HostFacts


@dataclass(frozen=True)
class Distribution:
    """One distribution: how its packages are installed, and which package brings which program."""

    id: str
    versions: tuple[str, ...]
    family: str
    """apt or dnf; with yum in its place on a host that has no dnf."""
    refresh: tuple[str, ...]
    programs: dict[str, str]

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
    """Return the host's distribution; BlockedError names the nearest if kubelab knows it not."""
    found = known.get(facts.os_id)
    if found is None or found.version_of(facts) is None:
        raise BlockedError(
            f"{facts.hostname} runs {facts.os_id} {facts.os_version}, which kubelab does not know",
            next_step=_suggestion(facts, found, known),
        )
    return found


def _suggestion(facts: HostFacts, found: Distribution | None, known: dict[str, Distribution]) -> str:
    if found:
        return f"of {found.id}, use {', '.join(found.versions)}"
    kin = next((known[name] for name in facts.os_id_like if name in known), None)
    near = f"its kin {kin.id} {', '.join(kin.versions)} is known; " if kin else ""
    return near + "use one of: " + "; ".join(f"{each.id} {', '.join(each.versions)}" for each in known.values())


def _distribution(data: dict[str, Any]) -> Distribution:
    return Distribution(
        id=data["id"],
        versions=tuple(data["versions"]),
        family=data["family"],
        refresh=tuple(data["refresh"]),
        programs=data["programs"],
    )
