"""`images/catalog.yaml` as frozen data: every image, what it stands on, and every Python a notebook can carry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from kubelab_helpers import resources
from kubelab_helpers.document import read_valid
from kubelab_helpers.errors import InvalidInputError

BASE_PREFIX = "base:"
IMAGE_ARGUMENT = "image:"


@dataclass(frozen=True)
class Python:
    """A version of Python. `origin` is the artifact that carries it, if there is an image with it.

    `kind`: whether that is a Debian `suite`, or an `installation` (an official image's, or one of this machine).
    """

    version: str
    end_of_life: date
    origin: str | None = None
    kind: str = "suite"
    default: bool = False

    def status(self, today: date) -> str:
        """Return `supported` or `end-of-life`, as the Python project has it on that day."""
        return "supported" if today <= self.end_of_life else "end-of-life"


@dataclass(frozen=True)
class Image:
    """One image to build. One of `base` (a root file system), `parent` (an image's name) and `joined` is set.

    `joined`: the images, one per Python and oldest first, whose Pythons it has; it stands on the last. `optional`: it
    is not built unless it, or what stands on it, is named.
    """

    name: str
    repository: str
    title: str
    folder: str
    tag: str
    base: str | None = None
    parent: str | None = None
    joined: tuple[str, ...] = ()
    python: Python | None = None
    own_files: str = ""
    arguments: tuple[tuple[str, str], ...] = ()
    optional: bool = False

    @property
    def stands_on(self) -> tuple[str, ...]:
        """The images that must be there before this one is built."""
        named = [value.removeprefix(IMAGE_ARGUMENT) for _, value in self.arguments if value.startswith(IMAGE_ARGUMENT)]
        return self.joined or tuple(dict.fromkeys([*([self.parent] if self.parent else []), *named]))

    @property
    def below(self) -> str | None:
        """The image whose layers it continues; None for one that begins with a root file system."""
        return self.joined[-1] if self.joined else self.parent

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
        """Return the named images with their parents, parents first; without names, every image that is not optional.

        A name is an image's own (`notebook-py3.11`) or its repository's (`notebook`): that is one image for each of
        `pythons`, or of the default ones. An image that joins others joins those of `pythons`. InvalidInputError for an
        unknown name, or a Python that no image carries.
        """
        chosen = self._chosen(pythons)
        wanted = {image.name for image in self.named(names, pythons)}
        for image in reversed(chosen):
            if image.name in wanted:
                wanted.update(image.stands_on)
        return [image for image in chosen if image.name in wanted]

    def named(self, names: Sequence[str] | None = None, pythons: Sequence[str] | None = None) -> list[Image]:
        """Return the images that `select` returns, but for the parents that nobody named."""
        versions = self._versions(pythons)
        wanted: set[str] = set()
        usual = dict.fromkeys(each.repository for each in self.images.values() if not each.optional)
        for name in names if names is not None else usual:
            wanted.update(self._named(name, versions))
        return [image for image in self._chosen(pythons) if image.name in wanted]

    def one(self, name: str) -> Image:
        """Return the one image of that name; InvalidInputError for an unknown name, or one that stands for several."""
        found = self.named([name])
        if name not in self.images:
            several = ", ".join(image.name for image in self.images.values() if image.repository == name)
            raise InvalidInputError(f"{name} is several images", next_step=f"name one of {several}")
        return found[0]

    def _chosen(self, pythons: Sequence[str] | None) -> list[Image]:
        versions = self._versions(pythons)
        return [self._joining(image, versions) for image in self.images.values()]

    def for_architecture(self, architecture: str) -> ImageCatalog:
        """Return the same images under tags of their own, so that none takes the name of one for this machine."""
        tagged = {name: replace(image, tag=f"{image.tag}-{architecture}") for name, image in self.images.items()}
        return replace(self, images=tagged)

    def _joining(self, image: Image, versions: Sequence[str]) -> Image:
        joined = [self.images[name].python for name in image.joined]
        return replace(
            image,
            joined=tuple(
                name for name, python in zip(image.joined, joined, strict=True) if python and python.version in versions
            ),
        )

    def _versions(self, pythons: Sequence[str] | None) -> list[str]:
        if pythons is None:
            return [each.version for each in self.pythons.values() if each.default]
        for version in pythons:
            if version not in self.pythons or self.pythons[version].origin is None:
                able = ", ".join(each.version for each in self.pythons.values() if each.origin)
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
    source = path or resources.path("images/catalog.yaml")
    data = read_valid(source, resources.path("images/catalog.schema.json"))
    pythons = {name: _python(name, entry) for name, entry in data["pythons"].items()}
    _require_sound_parents(data["images"])
    expanded = list(_expand(data["images"], pythons, version or chart_version()))
    return ImageCatalog({image.name: image for image in _parents_first(expanded)}, pythons)


def chart_version() -> str:
    """Return the chart's appVersion, which is the images' version too."""
    chart = yaml.safe_load(resources.path("charts/jupyterhub-multi/Chart.yaml").read_text())
    return str(chart["appVersion"])


def _python(version: str, entry: dict[str, Any]) -> Python:
    kind = "installation" if "installation" in entry else "suite"
    end_of_life = date.fromisoformat(entry["end_of_life"])
    return Python(version, end_of_life, entry.get(kind), kind, bool(entry.get("default", False)))


def _require_sound_parents(entries: dict[str, dict[str, Any]]) -> None:
    for name, entry in entries.items():
        if (joins := entry.get("joins")) and not entries.get(joins, {}).get("per_python"):
            raise InvalidInputError(f"the image {name} joins {joins}, which is not one image per Python")
        parent = entry.get("parent")
        if parent and parent not in entries:
            raise InvalidInputError(f"the image {name} stands on {parent}, which is not in the catalogue")
        if parent and entries[parent].get("per_python") and not entry.get("per_python"):
            raise InvalidInputError(f"the image {name} stands on {parent}, which is one image per Python")


def _expand(entries: dict[str, dict[str, Any]], pythons: dict[str, Python], version: str) -> Iterator[Image]:
    for name, entry in entries.items():
        if not entry.get("per_python"):
            made = _image(name, name, entry, entry.get("parent"), None, version)
            joins = [
                f"{entry['joins']}-py{each.version}" for each in pythons.values() if each.origin and "joins" in entry
            ]
            yield replace(made, joined=tuple(joins))
            continue
        for python in pythons.values():
            if python.origin is not None:
                parent = entry.get("parent")
                if parent and entries[parent].get("per_python"):
                    parent = f"{parent}-py{python.version}"
                yield _image(f"{name}-py{python.version}", name, entry, parent, python, version)


def _image(
    name: str, repository: str, entry: dict[str, Any], parent: str | None, python: Python | None, version: str
) -> Image:
    words = {"version": version}
    if python:
        words |= {"python": python.version, "origin": str(python.origin), "kind": python.kind}
        words |= {"end_of_life": python.end_of_life.isoformat()}
    try:
        arguments = tuple(sorted((key, text.format(**words)) for key, text in entry.get("arguments", {}).items()))
        title, tag = entry["title"].format(**words), entry["tag"].format(**words)
    except (KeyError, IndexError, ValueError) as error:
        raise InvalidInputError(f"the image {repository} uses a placeholder that it does not have: {error}") from error
    own_files = entry.get("own_files", "")
    base, folder, optional = entry.get("base"), entry["folder"], bool(entry.get("optional", False))
    return Image(name, repository, title, folder, tag, base, parent, (), python, own_files, arguments, optional)


def _parents_first(images: list[Image]) -> list[Image]:
    """Return the images in the order of their building; InvalidInputError for one that cannot come after another."""
    by_name = {image.name: image for image in images}
    for image in images:
        for name in image.stands_on:
            if name not in by_name:
                raise InvalidInputError(f"the image {image.name} stands on {name}, which is not in the catalogue")
    sorter = TopologicalSorter({image.name: image.stands_on for image in images})
    try:
        return [by_name[name] for name in sorter.static_order()]
    except CycleError as error:
        # The second argument is the circle, each name needed by the one before it.
        circle = " -> ".join(reversed(error.args[1]))
        raise InvalidInputError(f"images stand on each other in a circle: {circle}") from error
