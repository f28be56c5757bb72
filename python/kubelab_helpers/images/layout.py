"""Images as OCI layouts: copied out of a registry into a folder, and out of a folder or a bundle into archives.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kubelab_helpers.artifacts.cache import READ_BYTES
from kubelab_helpers.errors import KubelabError
from kubelab_helpers.images.access import RegistryAccess, RegistryClient

if TYPE_CHECKING:
    from requests import Response

LAYOUT = json.dumps({"imageLayoutVersion": "1.0.0"}).encode()
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

Opener = Callable[[str], IO[bytes]]
"""Opens a file of a layout by its name in it; KeyError or OSError when there is none."""


@dataclass(frozen=True)
class LayoutImage:
    """An image of a layout: its reference, and its manifest's digest (`sha256:...`)."""

    reference: str
    digest: str


def blob_name(digest: str) -> str:
    """Return the name of a blob's file in a layout."""
    return "blobs/" + digest.replace(":", "/")


def copy_image(image: LayoutImage, folder: Path, access: RegistryAccess) -> None:
    """Copy an image from this machine's registry into the layout `folder`; blobs that are there are not read again.

    KubelabError when the registry lacks it, or sends something else than the digest says.
    """
    repository = image.reference.partition("/")[2].rpartition(":")[0]
    with RegistryClient(access) as registry:
        _save(registry, f"/v2/{repository}/manifests/{image.digest}", image.digest, folder)
        for digest in list_blobs(image, lambda name: (folder / name).open("rb"))[1:]:
            _save(registry, f"/v2/{repository}/blobs/{digest}", digest, folder)


def list_blobs(image: LayoutImage, open_file: Opener) -> list[str]:
    """Return the digests that make up an image: its manifest, its configuration and its layers, each once."""
    manifest = _read_manifest(image, open_file)
    return list(dict.fromkeys([image.digest, *(each["digest"] for each in (manifest["config"], *manifest["layers"]))]))


def index_of(images: list[LayoutImage], open_file: Opener) -> bytes:
    """Return the `index.json` of a layout with these images, by the names that containerd gives them."""
    described = []
    for image in images:
        with open_file(blob_name(image.digest)) as file:
            content = file.read()
        names = {
            "io.containerd.image.name": image.reference,
            "org.opencontainers.image.ref.name": image.reference.rpartition(":")[2],
        }
        media_type = json.loads(content).get("mediaType", MANIFEST_TYPES[0])
        described.append({"mediaType": media_type, "digest": image.digest, "size": len(content), "annotations": names})
    return json.dumps({"schemaVersion": 2, "manifests": described}, sort_keys=True).encode()


def write_archive(image: LayoutImage, open_file: Opener, target: Path) -> None:
    """Write one image of a layout as an OCI archive, whole or not at all; KubelabError for a blob that is damaged."""
    partial = target.with_name(f".{target.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    sizes = _sizes(image, open_file)
    try:
        with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, "oci-layout", io.BytesIO(LAYOUT), len(LAYOUT))
            index = index_of([image], open_file)
            _add(tar, "index.json", io.BytesIO(index), len(index))
            for digest, size in sizes.items():
                with open_file(blob_name(digest)) as file:
                    read = _Hashing(file)
                    _add(tar, blob_name(digest), read, size)
                if read.digest != digest:
                    raise _damaged(image, digest)
        partial.replace(target)
    except (OSError, KeyError) as error:
        raise KubelabError(
            f"{image.reference} could not be written as an archive: {error}", repeat=f"df {target.parent}"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


class _Hashing:
    """A file that hashes what is read of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self._hash.update(block)
        return block

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def _save(registry: RegistryClient, path: str, digest: str, folder: Path) -> None:
    import requests

    target = folder / blob_name(digest)
    if target.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    repeat = registry.access.curl(path)
    try:
        with registry.ask("GET", path, ", ".join(MANIFEST_TYPES), stream=True) as answer:
            answer.raise_for_status()
            found = _write(answer, partial)
    except requests.RequestException as error:
        partial.unlink(missing_ok=True)
        raise KubelabError(f"the registry did not deliver {digest}: {error}", repeat=repeat) from error
    if found != digest:
        partial.unlink()
        raise KubelabError(f"the registry delivered {found} for {digest}", repeat=repeat)
    partial.replace(target)


def _write(answer: Response, target: Path) -> str:
    found = hashlib.sha256()
    with target.open("wb") as file:
        for block in answer.iter_content(READ_BYTES):
            found.update(block)
            file.write(block)
    return f"sha256:{found.hexdigest()}"


def _read_manifest(image: LayoutImage, open_file: Opener) -> dict[str, Any]:
    try:
        with open_file(blob_name(image.digest)) as file:
            manifest: dict[str, Any] = json.load(file)
    except (OSError, KeyError, ValueError) as error:
        raise _damaged(image, image.digest) from error
    return manifest


def _sizes(image: LayoutImage, open_file: Opener) -> dict[str, int]:
    manifest = _read_manifest(image, open_file)
    with open_file(blob_name(image.digest)) as file:
        own = len(file.read())
    return {image.digest: own} | {each["digest"]: each["size"] for each in (manifest["config"], *manifest["layers"])}


def _add(tar: tarfile.TarFile, name: str, content: Any, size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    tar.addfile(entry, content)


def _damaged(image: LayoutImage, digest: str) -> KubelabError:
    return KubelabError(f"{image.reference}: the blob {digest} is damaged", next_step="copy the image or bundle again")
