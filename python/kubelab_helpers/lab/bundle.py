"""A lab's parts in one bundle, for where there is no network."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from kubelab_helpers.artifacts import bundle, inspection
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.cluster import engine
from kubelab_helpers.cluster.spec import LabSpec
from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.lab import delivery, images, registry
from kubelab_helpers.lab.context import CHECK_PARTS, PARTS, ROOT_FILE_SYSTEMS, Lab
from kubelab_helpers.result import SilentReporter


def create_bundle(lab: Lab, target: Path, *, with_hub: bool = True) -> list[str]:
    """Write what `up` fetches into `target`, a folder or, when its name ends in .tar, a tar; return the parts' names.

    With the hub, its images are built and carried too.

    InvalidInputError if the target is there already, or the folder that it is to be in is not.
    """
    if target.exists():
        raise InvalidInputError(f"{target} is there already", next_step="name another target, or remove it")
    if not target.parent.is_dir():
        raise InvalidInputError(f"there is no folder {target.parent}", next_step="make it, or name another target")
    names = [*lab.part_names, *CHECK_PARTS, *ROOT_FILE_SYSTEMS]
    if not with_hub:
        return bundle.create_bundle(names, target, lab.store, lab.reporter)
    engine.ensure_running()
    registry.run_registry(lab)
    images.build_images(lab)
    images.push_images(lab)
    with TemporaryDirectory(prefix=".images-", dir=target.parent) as folder:
        layout = delivery.export_images(lab, Path(folder))
        made = bundle.create_bundle(names, target, lab.store, lab.reporter, layout)
    return [*made, *(f"image {name}" for name in layout.images)]


def inspect_bundle(source: Path) -> inspection.Inspection:
    """Return what is in a bundle, and what `up` and `init` of this kubelab would not find in it."""
    store = Store()
    carried = [
        name
        for name in store.in_order([*PARTS, *CHECK_PARTS, *ROOT_FILE_SYSTEMS])
        if store.catalog.get(name).kind != "image"
    ]
    keys = images.image_keys(Lab(LabSpec(), source.parent, SilentReporter()))
    return inspection.inspect_bundle(source, store.catalog, carried, keys)
