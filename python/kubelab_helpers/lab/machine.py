"""The machine under a lab: its engine, what must be free on it, and the parts in its cache."""

from __future__ import annotations

import shutil
from pathlib import Path

from kubelab_helpers.cluster import engine
from kubelab_helpers.cluster.nodes import list_nodes
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.images.port import probe_port_holder
from kubelab_helpers.images.registry import registry_state
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.result import Outcome

MEMORY_NEEDED_MIB = 4096
"""Measured with `docker stats`, hub idle: 0.95 GiB for each of two nodes; the rest for builds and users."""
DISK_NEEDED_GIB = 15
"""Measured: two nodes 5.5 GB, built images 2.4 GB, parts 2.4 GB; the rest for the builder's cache and homes."""


def ensure_engine(lab: Lab) -> tuple[Outcome, str]:
    """Install and start Docker where it is not; hosts elsewhere need none on this machine."""
    if not lab.spec.has_containers:
        return Outcome.UNCHANGED, "no container nodes"
    outcome = engine.ensure_running()
    return outcome, f"Docker {lab.engine.version()['Version']}"


def check_preconditions(lab: Lab) -> tuple[Outcome, str]:
    """Check memory, disk and ports before anything is made; BlockedError names everything that is missing."""
    if not lab.spec.has_containers:
        return Outcome.UNCHANGED, "no container nodes"
    if list_nodes(lab.engine, lab.spec.name):
        return Outcome.UNCHANGED, "the nodes are there already"
    problems = [*_find_shortages(Path(lab.engine.info()["DockerRootDir"])), *_find_taken_ports(lab)]
    if problems:
        raise BlockedError("; ".join(problems), next_step="free what is named, or choose other ports in kubelab.yaml")
    return Outcome.UNCHANGED, ""


def fetch_parts(lab: Lab) -> tuple[Outcome, str]:
    """Fetch every part that the nodes and the operator's tools need."""
    before = lab.store.missing(lab.part_names)
    lab.store.fetch(lab.part_names, lab.reporter)
    return (Outcome.CHANGED if before else Outcome.UNCHANGED), f"{len(before)} made"


def _find_shortages(disk: Path) -> list[str]:
    import psutil

    problems = []
    memory = psutil.virtual_memory().available >> 20
    if memory < MEMORY_NEEDED_MIB:
        problems.append(f"{memory} MiB of memory is free, {MEMORY_NEEDED_MIB} MiB is needed")
    free = shutil.disk_usage(disk).free >> 30
    if free < DISK_NEEDED_GIB:
        problems.append(f"{free} GiB is free under {disk}, {DISK_NEEDED_GIB} GiB is needed")
    return problems


def _find_taken_ports(lab: Lab) -> list[str]:
    registry = registry_state(lab.engine)
    problems = []
    for name, port in vars(lab.spec.ports).items():
        if name == "registry" and registry is not None and registry.machine_port == port:
            continue
        holder = probe_port_holder(lab.engine, port)
        if holder:
            problems.append(f"port {port} (ports.{name}) is held by {holder}")
    return problems
