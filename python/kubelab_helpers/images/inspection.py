"""What is in a built image: labels, configuration, layers, and which bytes it has for itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.errors import KubelabError
from kubelab_helpers.images.presence import find_image

if TYPE_CHECKING:
    from docker import DockerClient

    from kubelab_helpers.images.catalog import Image

# BuildKit writes these even where nothing changed; every other instruction is configuration alone.
LAYER_INSTRUCTION = re.compile(r"(?:RUN|COPY|ADD|WORKDIR)\b")
NOISE = re.compile(r"^RUN (?:\|\d+ .*?)?/bin/sh (?:-\w+ )*-c |\s+# buildkit$")


@dataclass(frozen=True)
class Layer:
    """One layer: the instruction that made it, its size unpacked, and the images that have the same chain up to it."""

    diff_id: str
    created_by: str
    size_bytes: int
    shared_with: tuple[str, ...]


@dataclass(frozen=True)
class InspectedImage:
    """A built image. `size_bytes` is unpacked, and `own_bytes` is what goes when this image goes.

    `shared_bytes` are in layers that further images of the catalogue on this machine have too; `layers`: lowest first.
    """

    name: str
    reference: str
    image_id: str
    created: str
    platform: str
    size_bytes: int
    own_bytes: int
    shared_bytes: int
    labels: dict[str, str]
    user: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: dict[str, str]
    ports: tuple[str, ...]
    working_directory: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Storage:
    """How much of some images is stored once: `sum_bytes` of their sizes, `stored_bytes` with each layer once."""

    images: int
    sum_bytes: int
    stored_bytes: int

    @property
    def ratio(self) -> float | None:
        """Stored bytes by the sum of the sizes; None without an image."""
        return self.stored_bytes / self.sum_bytes if self.sum_bytes else None


def inspect_images(
    engine: DockerClient, images: Iterable[Image], registry: str = IMAGE_PREFIX
) -> dict[str, InspectedImage]:
    """Return those of the images that are built on this machine, by name; the others share nothing."""
    found = {image: here for image in images if (here := find_image(engine, image, registry)) is not None}
    attributes = {image.name: here.attrs for image, here in found.items()}
    sizes = {image.name: align(here.history(), here.attrs["RootFS"]["Layers"]) for image, here in found.items()}
    owners: dict[tuple[str, ...], list[str]] = {}
    for name, attrs in attributes.items():
        for chain in chains(attrs["RootFS"]["Layers"]):
            owners.setdefault(chain, []).append(name)
    return {
        image.name: _inspected(image, registry, attributes[image.name], sizes[image.name], owners) for image in found
    }


def storage_of(images: Iterable[InspectedImage]) -> Storage:
    """Return how much some images take together. An engine stores a layer once for each chain of layers below it."""
    stored: dict[tuple[str, ...], int] = {}
    total, count = 0, 0
    for image in images:
        layers = image.layers
        stored.update(zip(chains([each.diff_id for each in layers]), (each.size_bytes for each in layers), strict=True))
        total, count = total + image.size_bytes, count + 1
    return Storage(count, total, sum(stored.values()))


def chains(diff_ids: Sequence[str]) -> list[tuple[str, ...]]:
    """Return for each layer what identifies it on a machine: itself and all below it, lowest first.

    https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
    """
    return [tuple(diff_ids[: position + 1]) for position in range(len(diff_ids))]


def align(history: Sequence[dict[str, Any]], diff_ids: Sequence[str]) -> list[tuple[str, int]]:
    """Return for each layer, lowest first, the instruction that made it and its bytes.

    `history` is the engine's, newest first. It does not say which instructions made a layer: those with bytes did, and
    of the others BuildKit's file system instructions. KubelabError if that does not fit the number of layers.
    """
    entries = [(str(each.get("CreatedBy") or ""), int(each["Size"])) for each in reversed(history)]
    made = [(text, size) for text, size in entries if size or LAYER_INSTRUCTION.match(text)]
    if len(made) != len(diff_ids):
        raise KubelabError(f"the engine tells {len(made)} instructions for {len(diff_ids)} layers of an image")
    return [(NOISE.sub("", text) or "(imported root file system)", size) for text, size in made]


def _inspected(
    image: Image,
    registry: str,
    attrs: dict[str, Any],
    sizes: Sequence[tuple[str, int]],
    owners: dict[tuple[str, ...], list[str]],
) -> InspectedImage:
    diff_ids, config = attrs["RootFS"]["Layers"], attrs["Config"]
    layers = tuple(
        Layer(diff_id, text, size, tuple(name for name in owners[chain] if name != image.name))
        for diff_id, chain, (text, size) in zip(diff_ids, chains(diff_ids), sizes, strict=True)
    )
    size_bytes = sum(each.size_bytes for each in layers)
    shared_bytes = sum(each.size_bytes for each in layers if each.shared_with)
    return InspectedImage(
        name=image.name,
        reference=image.reference(registry),
        image_id=attrs["Id"],
        created=attrs["Created"],
        platform=f"{attrs['Os']}/{attrs['Architecture']}",
        size_bytes=size_bytes,
        own_bytes=size_bytes - shared_bytes,
        shared_bytes=shared_bytes,
        labels=dict(config.get("Labels") or {}),
        user=config.get("User") or "",
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        environment=dict(each.partition("=")[::2] for each in config.get("Env") or ()),
        ports=tuple(sorted(config.get("ExposedPorts") or ())),
        working_directory=config.get("WorkingDir") or "",
        layers=layers,
    )
