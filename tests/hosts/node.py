"""A single container host as `kubelab up` would describe it, and every Step that makes it a cluster."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kubelab_helpers.cluster.spec import HostSpec, LabSpec
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.spec import NodeSpec
from kubelab_helpers.lab import cluster
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.result import SilentReporter


def node_of(name: str, host: str, subnet: str) -> tuple[Lab, NodeSpec]:
    """Return the lab of one control plane on a container host, and that node; parts come from the cache."""
    spec = LabSpec(name=name, hosts=(HostSpec(host, "control-plane"),), container_subnet=subnet)
    lab = Lab(spec, Path(tempfile.gettempdir()) / f"{name}-operator", SilentReporter())
    return lab, lab.node(spec.hosts[0], lab.parts())


def steps_of(lab: Lab) -> tuple[Step, ...]:
    """Return every Step of a cluster of one node, in order."""
    return (*cluster.NODE_STEPS, cluster.init_step(lab), cluster.network_step(lab))
