"""The source `bundle`: a folder or tar with artifacts, made where there is a network and used where there is none.

`manifest.json` holds each artifact's recipe key and the SHA-256 of its files; what it does not list is not used.
Images that an engine built are an OCI layout in the folder `images/`, which other tools read too.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any, cast

from kubelab_helpers.artifacts.build import ChecksumError
from kubelab_helpers.artifacts.cache import READ_BYTES, sha256_of
from kubelab_helpers.artifacts.catalog import Artifact, Catalog
from kubelab_helpers.errors import InvalidInputError

if TYPE_CHECKING:
    from kubelab_helpers.artifacts.source import Store
    from kubelab_helpers.result import Reporter

MANIFEST = "manifest.json"
SCHEMA = 1

IMAGES = "images"
"""The OCI layout's folder."""

Opener = Callable[[str], IO[bytes]]
"""Opens a file of a bundle by its name there; KeyError or OSError when there is none."""


@dataclass(frozen=True)
class BundledImage:
    """A built image of a bundle: the hash of what it was built from, its reference, and its manifest's digest.

    `files`: the SHA-256 of each file that belongs to it, by its name in the layout, or in the bundle it was read from.
    """

    key: str
    reference: str
    digest: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class ImageLayout:
    """An OCI layout on this machine, and what is in it by the images' names."""

    folder: Path
    images: Mapping[str, BundledImage]


def create_bundle(
    names: Sequence[str], target: Path, store: Store, reporter: Reporter, layout: ImageLayout | None = None
) -> list[str]:
    """Fetch these artifacts and all they are composed from, and write them into a bundle; return the names in it."""
    wanted = [each for each in store.in_order(names) if store.catalog.get(each).kind != "image"]
    write_bundle(target, store.catalog, store.fetch(wanted, reporter), layout)
    return wanted


def write_bundle(
    target: Path, catalog: Catalog, contents: Mapping[str, Path], layout: ImageLayout | None = None
) -> None:
    """Write a bundle with these artifacts: a tar when the name ends in .tar, else a folder.

    An image is left out, since it is composed again from its parts; InvalidInputError if one of these is not given.
    """
    lacking = [part for name in contents for part in catalog.get(name).dependencies if part not in contents]
    if lacking:
        raise InvalidInputError(
            f"a bundle of these artifacts lacks what they are composed from: {', '.join(dict.fromkeys(lacking))}",
            next_step="use create_bundle, which adds it",
        )
    carried = {name: content for name, content in contents.items() if catalog.get(name).kind != "image"}
    manifest = _describe(catalog, carried, layout)
    files = [entry for name, content in carried.items() for entry in _files(name, content)]
    files += _files(IMAGES, layout.folder) if layout else []
    with TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch) / target.name
        (_write_tar if target.suffix == ".tar" else _write_folder)(made, manifest, files)
        made.replace(target)


def produce(artifact: Artifact, key: str, bundle: Path, target: Path) -> None:
    """Copy one artifact out of a bundle, verifying what was copied; InvalidInputError if the bundle has it not so."""
    with open_bundle(bundle) as open_file:
        entry = _entry(open_file, bundle, artifact, key)
        for name, wanted in entry.items():
            path = target / _name_within(artifact, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if _copy(artifact, name, open_file, path) != wanted:
                raise _refusal(artifact, name)
            # A USB stick's file system may not keep modes.
            path.chmod(0o755 if artifact.kind == "binary" or artifact.recipe.get("members") else 0o644)


def _describe(catalog: Catalog, contents: Mapping[str, Path], layout: ImageLayout | None) -> bytes:
    artifacts = {
        name: {"key": catalog.key(name), "files": {file: sha256_of(path) for file, path in _files(name, content)}}
        for name, content in contents.items()
    }
    images = {
        name: {
            "key": image.key,
            "reference": image.reference,
            "digest": image.digest,
            "files": {f"{IMAGES}/{file}": sha256 for file, sha256 in image.files.items()},
        }
        for name, image in (layout.images if layout else {}).items()
    }
    return json.dumps({"schema": SCHEMA, "artifacts": artifacts, "images": images}, indent=1).encode()


def _write_folder(target: Path, manifest: bytes, files: Sequence[tuple[str, Path]]) -> None:
    target.mkdir()
    (target / MANIFEST).write_bytes(manifest)
    for file, path in files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target / file)


def _write_tar(target: Path, manifest: bytes, files: Sequence[tuple[str, Path]]) -> None:
    with tarfile.open(target, "w") as tar:
        entry = tarfile.TarInfo(MANIFEST)
        entry.size = len(manifest)
        tar.addfile(entry, io.BytesIO(manifest))
        for file, path in files:
            tar.add(path, arcname=file)


def _files(name: str, content: Path) -> list[tuple[str, Path]]:
    if not content.is_dir():
        return [(name, content)]
    paths = sorted(each for each in content.rglob("*") if each.is_file())
    return [(f"{name}/{path.relative_to(content).as_posix()}", path) for path in paths]


@contextmanager
def open_bundle(bundle: Path) -> Iterator[Opener]:
    """Open a bundle, a folder or a tar; InvalidInputError if it is neither."""
    if bundle.is_dir():
        yield lambda name: (bundle / name).open("rb")
        return
    with ExitStack() as stack:
        try:
            tar = stack.enter_context(tarfile.open(bundle))
            # `tar -C folder -cf bundle.tar .` gives names that begin with "./".
            members = {each.name.removeprefix("./"): each for each in tar if each.isfile()}
        except (OSError, tarfile.TarError) as error:
            raise _no_bundle(bundle, error) from error
        # isfile() above: what it opens is never None.
        yield lambda name: cast("IO[bytes]", tar.extractfile(members[name]))


def read_manifest(open_file: Opener, bundle: Path) -> dict[str, dict[str, Any]]:
    """Return each artifact's recipe key and the SHA-256 of its files; InvalidInputError if there is no manifest."""
    with _reading(bundle):
        listed: dict[str, dict[str, Any]] = dict(_load_manifest(open_file)["artifacts"])
        return {name: {"key": entry["key"], "files": dict(entry["files"])} for name, entry in listed.items()}


def read_images(open_file: Opener, bundle: Path) -> dict[str, BundledImage]:
    """Return the built images of a bundle by name; none for one that carries only a cluster's parts."""
    with _reading(bundle):
        listed: dict[str, dict[str, Any]] = dict(_load_manifest(open_file).get("images", {}))
        return {
            name: BundledImage(entry["key"], entry["reference"], entry["digest"], dict(entry["files"]))
            for name, entry in listed.items()
        }


@contextmanager
def _reading(bundle: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, tarfile.TarError) as error:
        raise _no_bundle(bundle, error) from error


def _load_manifest(open_file: Opener) -> Any:
    with open_file(MANIFEST) as file:
        return json.load(file)


def _entry(open_file: Opener, bundle: Path, artifact: Artifact, key: str) -> dict[str, str]:
    """Return the artifact's files in a bundle with the SHA-256 of each."""
    found = read_manifest(open_file, bundle).get(artifact.name, {"key": None, "files": {}})
    files: dict[str, str] = found["files"] if found["key"] == key else {}
    if not files:
        raise InvalidInputError(
            f"the bundle has no {artifact.name} {artifact.version} of this recipe",
            next_step="make the bundle again with this version of kubelab",
        )
    return files


def _name_within(artifact: Artifact, name: str) -> PurePosixPath:
    """Return where in the artifact a file of the bundle belongs; ChecksumError if its name leads out of it."""
    parts = name.split("/")
    if parts[0] != artifact.name or any(part in {"", ".", ".."} for part in parts):
        raise _refusal(artifact, name)
    return PurePosixPath(*parts[1:])


def _copy(artifact: Artifact, name: str, open_file: Opener, target: Path) -> str:
    """Copy a file of the bundle and return the SHA-256 of what was copied; ChecksumError if it cannot be read whole."""
    try:
        source = open_file(name)
    except (OSError, KeyError) as error:
        raise _refusal(artifact, name) from error
    digest = hashlib.sha256()
    with source, target.open("wb") as file:
        try:
            while block := source.read(READ_BYTES):
                digest.update(block)
                file.write(block)
        except tarfile.TarError as error:
            raise _refusal(artifact, name) from error
    return digest.hexdigest()


def _refusal(artifact: Artifact, name: str) -> ChecksumError:
    return ChecksumError(
        f"{artifact.name}: {name} in the bundle is not as its manifest says", next_step="copy the bundle again"
    )


def _no_bundle(bundle: Path, error: Exception) -> InvalidInputError:
    return InvalidInputError(f"{bundle} is no kubelab bundle: {error}", next_step="name a bundle's folder or tar")
