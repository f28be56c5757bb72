"""Taking a lab down: what `up` made goes, on this machine and on hosts elsewhere; the cache stays."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from kubelab_helpers.artifacts import cache
from kubelab_helpers.cluster import engine, nodes
from kubelab_helpers.cluster.registry_secrets import remove_secrets
from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.hosts.reset import reset_host
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.parallel import for_each
from kubelab_helpers.result import Outcome

IMAGE_NAMES = ("localhost:5000/kubelab/", "localhost/kubelab/")
"""What every image begins with that kubelab built or loaded here."""


def remove_lab(lab: Lab) -> list[str]:
    """Remove nodes, registry, volumes and network of the lab, and what .kubelab kept of it; return what was removed.

    The engine is started if it is not running: what it would start again on its own must go too. Hosts elsewhere are
    put back as they were before kubelab, workers first; an archive of the cluster's data and the users' homes stay
    there.
    """
    if lab.spec.has_containers or engine.is_running():
        engine.ensure_running()
        removed = nodes.remove_cluster(lab.engine, lab.spec.name)
    else:
        removed = []
    if not lab.spec.has_containers:
        removed += [change for group in (lab.spec.workers, lab.spec.control_planes) for change in _reset(lab, group)]
    for file in (lab.kubeconfig, lab.password_file, lab.digests_file):
        if file.exists():
            file.unlink()
            removed.append(f"file {file}")
    removed += remove_secrets(lab.registry_folder)
    lab.reporter.finish("down", Outcome.CHANGED if removed else Outcome.UNCHANGED, f"{len(removed)} removed")
    return removed


def _reset(lab: Lab, hosts: Sequence[HostSpec]) -> list[str]:
    made = for_each(hosts, lambda host: reset_host(lab.runner(host), host.name, lab.reporter))
    return [f"{count} changes on host {host.name}" for host, count in zip(hosts, made, strict=True) if count]


def clean_machine(lab: Lab) -> list[str]:
    """Remove the lab, and everything that makes the next `up` fast: built images and the cache of parts."""
    removed = remove_lab(lab)
    for image in lab.engine.images.list() if engine.is_running() else ():
        for tag in image.tags:
            if tag.startswith(IMAGE_NAMES):
                lab.engine.images.remove(tag, force=True)
                removed.append(f"image {tag}")
    if cache.root().is_dir():
        shutil.rmtree(cache.root())
        removed.append(f"folder {cache.root()}")
    return removed
