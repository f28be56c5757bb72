"""Root file systems as images that builds stand on: imported once per content key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kubelab_helpers.artifacts.catalog import architecture
from kubelab_helpers.artifacts.oci import ImageContent, write_archive
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import KubelabError
from kubelab_helpers.images.archive import load_archive
from kubelab_helpers.result import Outcome, Reporter

if TYPE_CHECKING:
    from docker import DockerClient

# A registry of this name is never asked, so that nobody else can publish what our builds stand on.
REPOSITORY = "localhost/kubelab/base-{name}"
TASK = "root file systems"


def base_reference(name: str, key: str) -> str:
    """Return the image name of a root file system with that content key."""
    return f"{REPOSITORY.format(name=name)}:{key}"


def has_image(engine: DockerClient, reference: str) -> bool:
    """Return whether the engine has an image of that name."""
    from docker.errors import ImageNotFound

    try:
        engine.images.get(reference)
    except ImageNotFound:
        return False
    return True


def import_bases(engine: DockerClient, store: Store, names: Sequence[str], reporter: Reporter) -> None:
    """Have every named root file system of the artifacts as an image; those that are there are left alone."""
    keys = {name: store.catalog.key(name) for name in names}
    missing = [name for name, key in keys.items() if not has_image(engine, base_reference(name, key))]
    if not missing:
        return
    archives = store.fetch(missing, reporter)
    reporter.start(TASK, total=len(missing))
    for count, (name, archive) in enumerate(archives.items()):
        reporter.advance(TASK, count, name)
        import_base(engine, name, keys[name], archive, store.catalog.architecture)
    reporter.finish(TASK, Outcome.CHANGED, f"{len(missing)} imported")


def import_base(engine: DockerClient, name: str, key: str, archive: Path, arch: str | None = None) -> None:
    """Import a root file system's tar under its base name, and drop what was imported of it under other keys.

    What is of another architecture than `arch` (default: this machine's) stays.
    """
    arch, repository = arch or architecture(), REPOSITORY.format(name=name)
    if arch == architecture():
        _import_archive(engine, name, key, archive)
    else:
        _load_foreign(engine, f"{repository}:{key}", archive, arch)
    for image in engine.images.list(repository):
        for tag in image.tags if image.attrs["Architecture"] == arch else ():
            if tag != f"{repository}:{key}":
                engine.images.remove(tag)


def _load_foreign(engine: DockerClient, reference: str, archive: Path, arch: str) -> None:
    """Load a root file system as an image that says its architecture, which Docker's API for imports cannot be told."""
    with TemporaryDirectory() as folder:
        written = Path(folder) / "image.tar"
        write_archive(written, reference, ImageContent(arch, files={}, base=archive))
        load_archive(engine, written, reference)


def _import_archive(engine: DockerClient, name: str, key: str, archive: Path) -> None:
    repository = REPOSITORY.format(name=name)
    said = engine.api.import_image_from_file(
        str(archive), repository=repository, tag=key, changes=[f"LABEL io.kubelab.base={name}"]
    )
    for line in said.splitlines():
        if error := json.loads(line).get("error"):
            raise KubelabError(f"the engine could not import the root file system {name}: {error}")
