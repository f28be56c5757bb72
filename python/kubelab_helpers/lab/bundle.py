"""A lab's parts in one bundle, for where there is no network."""

from __future__ import annotations

from pathlib import Path

from kubelab_helpers.artifacts.bundle import write_bundle
from kubelab_helpers.artifacts.catalog import Catalog
from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.lab.context import PARTS, ROOT_FILE_SYSTEMS, Lab


def create_bundle(lab: Lab, target: Path) -> list[str]:
    """Write what `up` fetches into `target`, a folder or, when its name ends in .tar, a tar; return the parts' names.

    InvalidInputError if the target is there already, or the folder that it is to be in is not.
    """
    if target.exists():
        raise InvalidInputError(f"{target} is there already", next_step="name another target, or remove it")
    if not target.parent.is_dir():
        raise InvalidInputError(f"there is no folder {target.parent}", next_step="make it, or name another target")
    names = bundled_parts(lab.store.catalog)
    write_bundle(target, lab.store.catalog, lab.store.fetch(names, lab.reporter))
    return names


def bundled_parts(catalog: Catalog) -> list[str]:
    """Return the parts that a bundle carries. Images are not among them: they are composed again from what is."""
    wanted = [each for name in (*PARTS, *ROOT_FILE_SYSTEMS) for each in (*catalog.get(name).dependencies, name)]
    return [name for name in dict.fromkeys(wanted) if catalog.get(name).kind != "image"]
