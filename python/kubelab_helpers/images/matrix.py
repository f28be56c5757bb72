"""The matrix of images and Pythons as it is on this machine: where each comes from, its end, whether it is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from kubelab_helpers.artifacts.installation import find_installations
from kubelab_helpers.artifacts.source import IMAGE_PREFIX, Store
from kubelab_helpers.images.build import INPUT_LABEL, input_hashes
from kubelab_helpers.images.catalog import Image, ImageCatalog, Python
from kubelab_helpers.images.presence import find_image

if TYPE_CHECKING:
    from docker import DockerClient

State = Literal["built", "outdated", "absent", "unknown"]
"""`outdated`: built from other inputs than today's; `unknown`: no engine answers."""


@dataclass(frozen=True)
class ImageState:
    """One image. The Python's columns are None for images without one; `size_bytes` is unpacked, None if absent.

    `source`: the Debian suite or installation its Python comes from, with the reason where that is not to be had here.
    """

    name: str
    python: str | None
    source: str | None
    end_of_life: str | None
    status: str | None
    state: State
    size_bytes: int | None


def read_matrix(
    catalog: ImageCatalog,
    pythons: Sequence[str],
    *,
    engine: DockerClient | None,
    store: Store,
    today: date,
    registry: str = IMAGE_PREFIX,
) -> list[ImageState]:
    """Return every image of the catalogue, parents first; one that joins others as it is for `pythons`."""
    every = [*catalog.images.values()]
    joining = {image.name: image for image in catalog.select(None, pythons) if image.joined}
    images = [joining.get(image.name, image) for image in every]
    hashes = input_hashes(images, store, registry)
    return [_state(image, hashes[image.name], engine, store, today, registry) for image in images]


def _state(
    image: Image, wanted: str, engine: DockerClient | None, store: Store, today: date, registry: str
) -> ImageState:
    python = image.python
    state, size = _find(engine, image, registry, wanted)
    return ImageState(
        image.name,
        python.version if python else None,
        _source(python, store) if python else None,
        python.end_of_life.isoformat() if python else None,
        python.status(today) if python else None,
        state,
        size,
    )


def _find(engine: DockerClient | None, image: Image, registry: str, wanted: str) -> tuple[State, int | None]:
    if engine is None:
        return "unknown", None
    found = find_image(engine, image, registry)
    if found is None:
        return "absent", None
    return "built" if found.labels.get(INPUT_LABEL) == wanted else "outdated", found.attrs["Size"]


def _source(python: Python, store: Store) -> str:
    origin = str(python.origin)
    here = python.kind == "suite" or not store.missing([origin]) or find_installations(python.version)
    # Whether an official image can be pulled is only known by trying.
    return origin if here else f"{origin} (none on this machine: an official image, if it can be pulled)"
