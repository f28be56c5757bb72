"""Container hosts as `kubelab up` would describe them, and every Step that makes one of them a cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from kubelab_helpers.cluster.spec import HostSpec, LabSpec
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.spec import NodeSpec
from kubelab_helpers.lab import cluster, upkeep
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.result import SilentReporter


def lab_of(name: str, subnet: str, hosts: Sequence[str]) -> Lab:
    """Return the lab of container hosts: the first is the control plane, the others are workers."""
    first, *others = hosts
    described = (HostSpec(first, "control-plane"), *(HostSpec(each, "worker") for each in others))
    spec = LabSpec(name=name, hosts=described, container_subnet=subnet)
    return Lab(spec, Path(tempfile.gettempdir()) / f"{name}-operator", SilentReporter())


def node_of(name: str, host: str, subnet: str) -> tuple[Lab, NodeSpec]:
    """Return the lab of one control plane on a container host, and that node; parts come from the cache."""
    lab = lab_of(name, subnet, [host])
    return lab, lab.node(lab.control_plane, lab.parts())


def stages_of(lab: Lab) -> tuple[tuple[Step, ...], ...]:
    """Return every Step of `kubelab-host init`, in order, those together that it plans at once."""
    return (
        cluster.NODE_STEPS,
        (cluster.init_step(lab),),
        (cluster.network_step(lab),),
        (upkeep.snapshots_step(lab),),
        (upkeep.renewal_step(),),
    )


def steps_of(lab: Lab) -> tuple[Step, ...]:
    """Return every Step of `kubelab-host init`, in order."""
    return tuple(step for stage in stages_of(lab) for step in stage)
