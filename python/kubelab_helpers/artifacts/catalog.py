"""`host-setup/artifacts.yaml` as frozen data: every third-party part, its version, and how each source delivers it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Set
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from kubelab_helpers import resources
from kubelab_helpers.document import read_valid
from kubelab_helpers.errors import BlockedError, InvalidInputError

FORMAT = 2
"""Rises when the code that makes artifacts would make other bytes from the same recipe."""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """Return this machine's architecture in Go's words; BlockedError where kubelab has no parts for it."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise BlockedError(f"kubelab has no parts for {machine}", next_step=f"use a machine of {known}")
    return ARCHITECTURES[machine]


@dataclass(frozen=True)
class Artifact:
    """One part. `recipe` holds the entry as written, with {version}, {arch} and {name} put in.

    `architecture`, in Go's words, is that of the machines that it is for.
    """

    name: str
    kind: str
    version: str
    recipe: dict[str, Any] = field(repr=False)
    architecture: str = field(default_factory=architecture)

    @property
    def is_foreign(self) -> bool:
        """Whether it is for other machines than this one."""
        return self.architecture != architecture()

    @property
    def dependencies(self) -> tuple[str, ...]:
        """The artifacts that this one is composed from."""
        layers = self.recipe.get("layers", {})
        base = (layers["base"],) if "base" in layers else ()
        return (*base, *layers.get("files", {}).values())

    @property
    def image_name(self) -> str:
        """Repository and tag of an image, such as `pause:3.10.2`."""
        return f"{self.recipe['repository']}:{self.recipe.get('tag', self.version)}"


@dataclass(frozen=True)
class Catalog:
    """All parts by name."""

    artifacts: dict[str, Artifact]
    kubernetes_versions: tuple[str, ...] = ()
    """Those that parts are carried of; a new cluster gets the first."""
    architecture: str = field(default_factory=architecture)

    def get(self, name: str) -> Artifact:
        """Return one part; InvalidInputError names the nearest when there is none of that name."""
        if name not in self.artifacts:
            from difflib import get_close_matches

            near = get_close_matches(name, self.artifacts, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(self.artifacts)}"
            raise InvalidInputError(f"there is no artifact {name}", next_step=hint)
        return self.artifacts[name]

    def in_version(self, name: str, kubernetes: str) -> str:
        """Return the name of a part in a version of Kubernetes: its own, unless that version has one beside it.

        InvalidInputError for a version of which no parts are carried.
        """
        if kubernetes not in self.kubernetes_versions:
            raise InvalidInputError(
                f"this kubelab carries no parts of Kubernetes {kubernetes}",
                next_step=f"it carries {' and '.join(self.kubernetes_versions)}; another release of kubelab has others",
            )
        beside = f"{name}@{kubernetes}"
        return beside if beside in self.artifacts else name

    def key(self, name: str) -> str:
        """Return a hash of all that decides an artifact's content: architecture, recipe, pinned inputs, its parts.

        It holds no path of this checkout, so that two checkouts share one cache.
        """
        artifact = self.get(name)
        decided = [FORMAT, self.architecture, artifact.recipe]
        digest = hashlib.sha256(json.dumps(decided, sort_keys=True).encode())
        for content in _pinned_inputs(artifact):
            digest.update(hashlib.sha256(content).digest())
        for dependency in artifact.dependencies:
            digest.update(self.key(dependency).encode())
        return digest.hexdigest()[:24]


def load_catalog(path: Path | None = None, arch: str | None = None) -> Catalog:
    """Read and validate the catalogue; InvalidInputError says where it is wrong. `arch`: by default this machine's."""
    arch = arch or architecture()
    return _read_catalog(path, arch) if path else _own_catalog(arch)


@cache
def _own_catalog(arch: str) -> Catalog:
    """Return kubelab's own, which is read once: checking it against its schema takes a tenth of a second."""
    return _read_catalog(resources.path("host-setup/artifacts.yaml"), arch)


def _read_catalog(source: Path, arch: str) -> Catalog:
    data = read_valid(source, resources.path("host-setup/artifacts.schema.json"))
    artifacts = {each.name: each for each in _read_artifacts(data["artifacts"], data["versions"], arch)}
    catalog = Catalog(artifacts, _listed(data["versions"]).get("kubernetes", ()), arch)
    for artifact in artifacts.values():
        for dependency in artifact.dependencies:
            catalog.get(dependency)
    return catalog


def _read_artifacts(entries: dict[str, Any], versions: dict[str, Any], arch: str) -> Iterator[Artifact]:
    """Yield each entry in its first version, then as `name@version` in each further one."""
    listed = _listed(versions)
    for name, entry in entries.items():
        yield _artifact(name, entry, listed.get(entry["version"], [entry["version"]])[0], arch)
    for group, (_, *further) in listed.items():
        alike = {name: entry for name, entry in entries.items() if entry["version"] == group}
        for version in further:
            for name, entry in alike.items():
                made = _artifact(name, _point_to(version, entry, alike.keys()), version, arch)
                yield replace(made, name=f"{name}@{version}")


def _listed(versions: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(found) if isinstance(found, list) else (found,) for name, found in versions.items()}


def _point_to(version: str, entry: dict[str, Any], alike: Set[str]) -> dict[str, Any]:
    """Return an entry made from that version's modules folder and from the parts of that version."""
    found = dict(entry)
    if "module" in entry.get("modules", {}):
        minor = ".".join(version.split(".")[:2])
        found["modules"] = {**entry["modules"], "module": f"{entry['modules']['module']}-{minor}"}
    if "layers" in entry:
        files = {
            path: f"{part}@{version}" if part in alike else part for path, part in entry["layers"]["files"].items()
        }
        found["layers"] = {**entry["layers"], "files": files}
    return found


def _artifact(name: str, entry: dict[str, Any], version: str, arch: str) -> Artifact:
    # {member} stays: it is put in for each file of a directory.
    minor = (*version.split("."), "")[1]
    words = {"version": version, "minor": minor, "arch": arch, "name": name, "member": "{member}"}
    recipe: dict[str, Any] = _substitute({**entry, "version": version}, words)
    return Artifact(name, recipe["kind"], version, recipe, arch)


def _substitute(value: Any, words: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _substitute(each, words) for key, each in value.items()}
    if isinstance(value, list):
        return [_substitute(each, words) for each in value]
    return value.format(**words) if isinstance(value, str) else value


def _pinned_inputs(artifact: Artifact) -> list[bytes]:
    modules = artifact.recipe.get("modules", {})
    files = []
    if "module" in modules:
        folder = resources.path(f"host-setup/modules/{modules['module']}")
        files = [folder / "go.mod", folder / "go.sum"]
    if "source" in modules:
        files = [resources.path(modules["source"])]
    return [file.read_bytes() for file in files]
