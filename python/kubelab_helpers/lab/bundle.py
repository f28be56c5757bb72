"""A lab's parts in one bundle, for where there is no network."""

from __future__ import annotations

from pathlib import Path

from kubelab_helpers.artifacts import bundle, inspection
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.lab.context import CHECK_PARTS, PARTS, ROOT_FILE_SYSTEMS, Lab


def create_bundle(lab: Lab, target: Path) -> list[str]:
    """Write what `up` fetches into `target`, a folder or, when its name ends in .tar, a tar; return the parts' names.

    InvalidInputError if the target is there already, or the folder that it is to be in is not.
    """
    if target.exists():
        raise InvalidInputError(f"{target} is there already", next_step="name another target, or remove it")
    if not target.parent.is_dir():
        raise InvalidInputError(f"there is no folder {target.parent}", next_step="make it, or name another target")
    return bundle.create_bundle([*lab.part_names, *CHECK_PARTS, *ROOT_FILE_SYSTEMS], target, lab.store, lab.reporter)


def inspect_bundle(source: Path) -> inspection.Inspection:
    """Return what is in a bundle, and what `up` and `init` of this kubelab would not find in it."""
    store = Store()
    carried = [
        name
        for name in store.in_order([*PARTS, *CHECK_PARTS, *ROOT_FILE_SYSTEMS])
        if store.catalog.get(name).kind != "image"
    ]
    return inspection.inspect_bundle(source, store.catalog, carried)
