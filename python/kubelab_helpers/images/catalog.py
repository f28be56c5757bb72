"""`images/catalog.yaml` as frozen data: every image, what it stands on, and every Python a notebook can carry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from kubelab_helpers import resources
from kubelab_helpers.errors import InvalidInputError

BASE_PREFIX = "base:"


@dataclass(frozen=True)
class Python:
    """A version of Python; `suite` is the root file system that carries it, if there is an image with it."""

    version: str
    end_of_life: date
    suite: str | None = None
    default: bool = False

    def status(self, today: date) -> str:
        """Return `supported` or `end-of-life`, as the Python project has it on that day."""
        return "supported" if today <= self.end_of_life else "end-of-life"


@dataclass(frozen=True)
class Image:
    """One image to build. Exactly one of `base` (a root file system) and `parent` (an image's name) is set."""

    name: str
    repository: str
    title: str
    folder: str
    tag: str
    base: str | None = None
    parent: str | None = None
    python: Python | None = None
    own_files: str = ""
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def bases(self) -> tuple[str, ...]:
        """The root file systems that the build itself names, each once."""
        named = [value.removeprefix(BASE_PREFIX) for _, value in self.arguments if value.startswith(BASE_PREFIX)]
        return tuple(dict.fromkeys([*([self.base] if self.base else []), *named]))

    def reference(self, registry: str) -> str:
        """Return the image's full name, such as `localhost:5000/kubelab/hub:0.1.0`."""
        return f"{registry}/{self.repository}:{self.tag}"


@dataclass(frozen=True)
class ImageCatalog:
    """All images, parents before children, and all Pythons by version."""

    images: dict[str, Image]
    pythons: dict[str, Python]

    def select(self, names: Sequence[str] | None = None, pythons: Sequence[str] | None = None) -> list[Image]:
        """Return the named images with their parents, parents first; without names, every image.

        A name is an image's own (`notebook-py3.11`) or its repository's (`notebook`): that is one image for each of
        `pythons`, or of the default ones. InvalidInputError for an unknown name, or a Python that no image carries.
        """
        versions = self._versions(pythons)
        wanted: set[str] = set()
        for name in names if names is not None else dict.fromkeys(each.repository for each in self.images.values()):
            wanted.update(self._named(name, versions))
        for image in reversed(self.images.values()):
            if image.name in wanted and image.parent:
                wanted.add(image.parent)
        return [image for image in self.images.values() if image.name in wanted]

    def _versions(self, pythons: Sequence[str] | None) -> list[str]:
        if pythons is None:
            return [each.version for each in self.pythons.values() if each.default]
        for version in pythons:
            if version not in self.pythons or self.pythons[version].suite is None:
                able = ", ".join(each.version for each in self.pythons.values() if each.suite)
                raise InvalidInputError(f"there is no image with Python {version}", next_step=f"choose among {able}")
        return list(pythons)

    def _named(self, name: str, versions: Sequence[str]) -> list[str]:
        if name in self.images:
            return [name]
        family = [image for image in self.images.values() if image.repository == name]
        if not family:
            known = [*self.images, *(image.repository for image in self.images.values())]
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(self.images)}"
            raise InvalidInputError(f"there is no image {name}", next_step=hint)
        return [image.name for image in family if image.python and image.python.version in versions]


def load_catalog(path: Path | None = None, version: str | None = None) -> ImageCatalog:
    """Read and validate the catalogue; InvalidInputError says where it is wrong. `version` defaults to the chart's."""
    import jsonschema

    source = path or resources.path("images/catalog.yaml")
    data = yaml.safe_load(source.read_text())
    schema = json.loads(resources.path("images/catalog.schema.json").read_text())
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(data))
    if error is not None:
        next_step = "mend that entry; catalog.schema.json is beside it"
        raise InvalidInputError(f"{source.name}: {error.json_path}: {error.message}", next_step=next_step)
    pythons = {name: _python(name, entry) for name, entry in data["pythons"].items()}
    _require_sound_parents(data["images"])
    expanded = list(_expand(data["images"], pythons, version or chart_version()))
    return ImageCatalog({image.name: image for image in _parents_first(expanded)}, pythons)


def chart_version() -> str:
    """Return the chart's appVersion, which is the images' version too."""
    chart = yaml.safe_load(resources.path("charts/jupyterhub-multi/Chart.yaml").read_text())
    return str(chart["appVersion"])


def _python(version: str, entry: dict[str, Any]) -> Python:
    return Python(
        version, date.fromisoformat(entry["end_of_life"]), entry.get("suite"), bool(entry.get("default", False))
    )


def _require_sound_parents(entries: dict[str, dict[str, Any]]) -> None:
    for name in entries:
        chain = [name]
        while parent := entries[chain[-1]].get("parent"):
            if parent not in entries:
                raise InvalidInputError(f"the image {chain[-1]} stands on {parent}, which is not in the catalogue")
            if entries[parent].get("per_python") and not entries[chain[-1]].get("per_python"):
                raise InvalidInputError(f"the image {chain[-1]} stands on {parent}, which is one image per Python")
            if parent in chain:
                raise InvalidInputError(f"images stand on each other in a circle: {' -> '.join([*chain, parent])}")
            chain.append(parent)


def _expand(entries: dict[str, dict[str, Any]], pythons: dict[str, Python], version: str) -> Iterator[Image]:
    for name, entry in entries.items():
        if not entry.get("per_python"):
            yield _image(name, name, entry, entry.get("parent"), None, version)
            continue
        for python in pythons.values():
            if python.suite is not None:
                parent = entry.get("parent")
                if parent and entries[parent].get("per_python"):
                    parent = f"{parent}-py{python.version}"
                yield _image(f"{name}-py{python.version}", name, entry, parent, python, version)


def _image(
    name: str, repository: str, entry: dict[str, Any], parent: str | None, python: Python | None, version: str
) -> Image:
    words = {"version": version}
    if python:
        words |= {"python": python.version, "suite": str(python.suite)}
    try:
        arguments = tuple(sorted((key, text.format(**words)) for key, text in entry.get("arguments", {}).items()))
        title, tag = entry["title"].format(**words), entry["tag"].format(**words)
    except (KeyError, IndexError, ValueError) as error:
        raise InvalidInputError(f"the image {repository} uses a placeholder that it does not have: {error}") from error
    own_files = entry.get("own_files", "")
    return Image(name, repository, title, entry["folder"], tag, entry.get("base"), parent, python, own_files, arguments)


def _parents_first(images: list[Image]) -> list[Image]:
    ordered: dict[str, Image] = {}
    waiting = list(images)
    while waiting:
        ready = [image for image in waiting if image.parent is None or image.parent in ordered]
        ordered |= {image.name: image for image in ready}
        waiting = [image for image in waiting if image.name not in ordered]
    return list(ordered.values())
