"""Taking a lab down: everything that `up` made on this machine goes, the cache stays."""

from __future__ import annotations

import shutil

from kubelab_helpers.artifacts import cache
from kubelab_helpers.cluster import engine, nodes
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.result import Outcome

IMAGE_NAMES = ("localhost:5000/kubelab/", "localhost/kubelab/")
"""What every image begins with that kubelab built or loaded here."""


def remove_lab(lab: Lab) -> list[str]:
    """Remove nodes, registry, volumes and network of the lab, and what .kubelab kept of it; return what was removed.

    The engine is started if it is not running: what it would start again on its own must go too.
    """
    if not lab.spec.has_containers:
        raise BlockedError(
            f"the hosts of {lab.spec.name} are not on this machine",
            next_step="`kubelab cluster remove NAME --yes` for each, and `kubelab-host reset` on the last",
        )
    engine.ensure_running()
    removed = nodes.remove_cluster(lab.engine, lab.spec.name)
    for file in (lab.kubeconfig, lab.password_file, lab.digests_file):
        if file.exists():
            file.unlink()
            removed.append(f"file {file}")
    lab.reporter.finish("down", Outcome.CHANGED if removed else Outcome.UNCHANGED, f"{len(removed)} removed")
    return removed


def clean_machine(lab: Lab) -> list[str]:
    """Remove the lab, and everything that makes the next `up` fast: built images and the cache of parts."""
    removed = remove_lab(lab)
    for image in lab.engine.images.list():
        for tag in image.tags:
            if tag.startswith(IMAGE_NAMES):
                lab.engine.images.remove(tag, force=True)
                removed.append(f"image {tag}")
    if cache.root().is_dir():
        shutil.rmtree(cache.root())
        removed.append(f"folder {cache.root()}")
    return removed
