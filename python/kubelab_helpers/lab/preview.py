"""What `kubelab up` would do, stage by stage, from reading alone: nothing here holds a writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubelab_helpers import resources
from kubelab_helpers.cluster import engine, kubeadm, nodes
from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.hosts.executor import read_plan
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.images.build import find_stale
from kubelab_helpers.images.registry import registry_state
from kubelab_helpers.lab import cluster, images, release
from kubelab_helpers.lab.context import PARTS, Lab
from kubelab_helpers.release import deploy
from kubelab_helpers.release.values import CHART


@dataclass(frozen=True)
class Preview:
    """What one stage would do, a line each; `changes` is None where only earlier stages' end will tell."""

    stage: str
    changes: tuple[str, ...] | None


def preview_stages(lab: Lab) -> list[Preview]:
    """Return what each stage would change now. Parts that are not in the cache hide what comes after them."""
    if not engine.is_running():
        return [Preview("engine", ("install Docker if it is missing, and start it",)), Preview("everything else", None)]
    missing = lab.store.missing(PARTS)
    found = [Preview("parts", tuple(f"make {name}" for name in missing))]
    found.append(Preview("node image", _stale(lab, ["node"])))
    existing = nodes.list_nodes(lab.engine, lab.spec.name)
    running = {host.name for host in lab.spec.hosts if _is_running(existing, lab.container_name(host.name))}
    found.append(Preview("nodes", _preview_nodes(lab, existing)))
    readable = not missing and len(running) == len(lab.spec.hosts)
    for stage, hosts, step in _node_stages(lab):
        found.append(Preview(stage, _plan(lab, hosts, step()) if readable else None))
    registry = registry_state(lab.engine)
    found.append(Preview("registry", () if registry and registry.is_running else ("start the registry",)))
    found.append(Preview("images", _stale(lab, images.CHART_IMAGES)))
    installed = readable and lab.kubeconfig.exists() and lab.digests_file.exists()
    found.append(Preview("release", _preview_release(lab) if installed and not found[-1].changes else None))
    return found


def _node_stages(lab: Lab) -> list[tuple[str, Sequence[HostSpec], Callable[[], Sequence[Step]]]]:
    first = (lab.control_plane,)
    return [
        ("prepare", lab.spec.hosts, lambda: cluster.NODE_STEPS),
        ("control plane", first, lambda: (cluster.init_step(lab),)),
        ("network", first, lambda: (cluster.network_step(lab),)),
        ("workers", lab.spec.workers, lambda: (kubeadm.join_step(None),)),
    ]


def _plan(lab: Lab, hosts: Sequence[HostSpec], steps: Sequence[Step]) -> tuple[str, ...]:
    parts = lab.parts()
    return tuple(
        f"{host.name}: {each.change.summary}"
        for host in hosts
        for each in read_plan(lab.runner(host), steps, lab.node(host, parts))[0].changes
    )


def _stale(lab: Lab, names: Sequence[str]) -> tuple[str, ...]:
    stale = find_stale(names, engine=lab.engine, store=lab.store, pythons=images.pythons_of(lab))
    return tuple(f"build {name}" for name in stale)


def _is_running(existing: dict[str, nodes.NodeState], name: str) -> bool:
    return name in existing and existing[name].status == "running"


def _preview_nodes(lab: Lab, existing: dict[str, nodes.NodeState]) -> tuple[str, ...]:
    names = [lab.container_name(host.name) for host in lab.spec.hosts]
    made = [f"make container node {name}" for name in names if name not in existing]
    started = [f"start container node {name}" for name in names if name in existing and not _is_running(existing, name)]
    return (*made, *started)


def _preview_release(lab: Lab) -> tuple[str, ...]:
    current = release.helm_of(lab).current(deploy.RELEASE, deploy.NAMESPACE)
    if current is None:
        return ("install the chart",)
    stamp = deploy.input_stamp(resources.path(CHART), release.values_of(lab))
    return () if deploy.is_current(current, stamp) else ("upgrade the chart",)
