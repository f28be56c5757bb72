"""Taking a lab down: everything that `up` made on this machine goes, the cache stays."""

from __future__ import annotations

from kubelab_helpers.cluster import engine, nodes
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.result import Outcome

KEPT = ("kubeconfig", "admin-password", "digests.json")


def remove_lab(lab: Lab) -> list[str]:
    """Remove nodes, registry, volumes and network of the lab, and what .kubelab kept of it; return what was removed.

    The engine is started if it is not running: what it would start again on its own must go too.
    """
    engine.ensure_running()
    removed = nodes.remove_cluster(lab.engine, lab.spec.name)
    for name in KEPT:
        file = lab.folder / name
        if file.exists():
            file.unlink()
            removed.append(f"file {file}")
    lab.reporter.finish("down", Outcome.CHANGED if removed else Outcome.UNCHANGED, f"{len(removed)} removed")
    return removed
