"""The source `bundle`: a folder or tar with artifacts, made where there is a network and used where there is none.

`manifest.json` holds each artifact's recipe key and the SHA-256 of its files; what it does not list is not used.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kubelab_helpers.artifacts.build import ChecksumError
from kubelab_helpers.artifacts.cache import sha256_of
from kubelab_helpers.artifacts.catalog import Artifact, Catalog
from kubelab_helpers.errors import InvalidInputError

if TYPE_CHECKING:
    from kubelab_helpers.artifacts.source import Store
    from kubelab_helpers.result import Reporter

MANIFEST = "manifest.json"


def write_bundle(target: Path, catalog: Catalog, contents: Mapping[str, Path]) -> None:
    """Write a bundle with these artifacts: a tar when the name ends in .tar, else a folder."""
    with TemporaryDirectory(dir=target.parent) as scratch:
        folder = Path(scratch) / "bundle"
        folder.mkdir()
        entries: dict[str, Any] = {}
        for name, content in contents.items():
            _copy(content, folder / name)
            files = {str(path.relative_to(folder)): sha256_of(path) for path in _files(folder / name)}
            entries[name] = {"key": catalog.key(name), "files": files}
        (folder / MANIFEST).write_text(json.dumps({"schema": 1, "artifacts": entries}, indent=1))
        if target.suffix == ".tar":
            with tarfile.open(folder.with_suffix(".tar"), "w") as tar:
                tar.add(folder, arcname=".")
            folder.with_suffix(".tar").replace(target)
        else:
            folder.replace(target)


def create_bundle(names: Sequence[str], target: Path, store: Store, reporter: Reporter) -> list[str]:
    """Write a bundle with these artifacts and all they are composed from; return the names in it."""
    wanted = [each for each in store.in_order(names) if store.catalog.get(each).kind != "image"]
    write_bundle(target, store.catalog, store.fetch(wanted, reporter))
    return wanted


def produce(artifact: Artifact, key: str, bundle: Path, target: Path) -> None:
    """Copy one artifact out of a bundle and verify it; InvalidInputError if the bundle has another version of it."""
    if bundle.is_dir():
        _take(artifact, key, bundle, target)
        return
    with TemporaryDirectory(dir=target.parent) as scratch, tarfile.open(bundle) as tar:
        wanted = {MANIFEST, artifact.name}
        members = [each for each in tar if each.name.removeprefix("./").split("/")[0] in wanted]
        tar.extractall(scratch, members=members, filter="data")
        _take(artifact, key, Path(scratch), target)


def _take(artifact: Artifact, key: str, folder: Path, target: Path) -> None:
    try:
        entry = json.loads((folder / MANIFEST).read_text())["artifacts"].get(artifact.name)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(
            f"{folder} is no kubelab bundle: {error}", next_step="name a bundle's folder or tar"
        ) from error
    if entry is None or entry["key"] != key:
        raise InvalidInputError(
            f"the bundle has no {artifact.name} {artifact.version} of this recipe",
            next_step="make the bundle again with this version of kubelab",
        )
    for name, wanted in entry["files"].items():
        file = folder / name
        own = file.resolve().is_relative_to((folder / artifact.name).resolve())
        if not own or not file.is_file() or sha256_of(file) != wanted:
            raise ChecksumError(
                f"{artifact.name}: {name} in the bundle is not as its manifest says", next_step="copy the bundle again"
            )
        part = target / file.relative_to(folder / artifact.name) if name != artifact.name else target
        part.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, part)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def _files(content: Path) -> list[Path]:
    return sorted(each for each in content.rglob("*") if each.is_file()) if content.is_dir() else [content]
