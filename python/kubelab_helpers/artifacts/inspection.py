"""What is in a bundle, and whether it is whole: asked before it is carried to where nothing can be fetched again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubelab_helpers.artifacts.bundle import Opener, open_bundle, read_images, read_manifest
from kubelab_helpers.artifacts.cache import READ_BYTES
from kubelab_helpers.artifacts.catalog import Catalog
from kubelab_helpers.result import Outcome, Reporter

TASK = "verify"


@dataclass(frozen=True)
class BundledPart:
    """One artifact of a bundle: its files, and whether this kubelab's recipe is the one it was made by."""

    name: str
    version: str
    files: int
    current: bool


@dataclass(frozen=True)
class Inspection:
    """A bundle's parts, and of those that are wanted the ones that it lacks."""

    parts: tuple[BundledPart, ...]
    lacking: tuple[str, ...]


def inspect_bundle(
    bundle: Path, catalog: Catalog, wanted: Sequence[str], image_keys: Mapping[str, str] | None = None
) -> Inspection:
    """Return what a bundle says of itself; InvalidInputError if it is none. Nothing is hashed.

    `image_keys`: the input hashes of the built images that are wanted of a bundle that carries such images.
    """
    with open_bundle(bundle) as open_file:
        listed = read_manifest(open_file, bundle)
        images = read_images(open_file, bundle)
    keys = image_keys or {}
    parts = tuple(
        BundledPart(
            name,
            catalog.get(name).version if name in catalog.artifacts else "unknown to this kubelab",
            len(entry["files"]),
            name in catalog.artifacts and entry["key"] == catalog.key(name),
        )
        for name, entry in sorted(listed.items())
    )
    parts += tuple(
        BundledPart(f"image {name}", image.reference.rpartition(":")[2], len(image.files), image.key == keys.get(name))
        for name, image in sorted(images.items())
    )
    current = {part.name for part in parts if part.current}
    expected = [*wanted, *(f"image {name}" for name in keys if images)]
    return Inspection(parts, tuple(name for name in expected if name not in current))


def verify_bundle(bundle: Path, reporter: Reporter) -> list[str]:
    """Hash every file of a bundle; return those that are missing or not as its manifest says."""
    with open_bundle(bundle) as open_file:
        files = {
            name: sha256
            for entry in read_manifest(open_file, bundle).values()
            for name, sha256 in entry["files"].items()
        }
        files |= {
            name: sha256 for image in read_images(open_file, bundle).values() for name, sha256 in image.files.items()
        }
        reporter.start(TASK, total=len(files))
        wrong = []
        for count, (name, sha256) in enumerate(sorted(files.items())):
            reporter.advance(TASK, count, name)
            if _hash(open_file, name) != sha256:
                wrong.append(name)
    reporter.finish(TASK, Outcome.FAILED if wrong else Outcome.UNCHANGED, f"{len(files)} files")
    return wrong


def _hash(open_file: Opener, name: str) -> str | None:
    digest = hashlib.sha256()
    try:
        with open_file(name) as file:
            while block := file.read(READ_BYTES):
                digest.update(block)
    except (OSError, KeyError, EOFError):
        return None
    return digest.hexdigest()
