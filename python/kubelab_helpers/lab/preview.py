"""What `kubelab up` would do, stage by stage, from reading alone: nothing here holds a writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kubelab_helpers import resources
from kubelab_helpers.cluster import engine, nodes, renewal, snapshots
from kubelab_helpers.cluster.registry_secrets import Protection
from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.hosts.executor import read_plan
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.images.build import find_stale
from kubelab_helpers.images.registry import registry_state
from kubelab_helpers.lab import cluster, delivery, images, prepull, pulling, registry, release, upkeep
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.joining import find_founder, plan_step, read_stamped, require_same_version
from kubelab_helpers.lab.parallel import for_each
from kubelab_helpers.lab.standing import member_stages
from kubelab_helpers.release import deploy
from kubelab_helpers.release.registry import read_hosting
from kubelab_helpers.release.values import CHART


@dataclass(frozen=True)
class Preview:
    """What one stage would do, a line each; `changes` is None where only earlier stages' end will tell.

    `hosts`: of a stage that works on hosts, the same by host.
    """

    stage: str
    changes: tuple[str, ...] | None
    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)


def preview_cluster(lab: Lab) -> list[Preview]:
    """Return what `kubelab cluster apply` would change now, stage by stage and host by host."""
    lab = lab.reading()
    if lab.spec.has_containers and not engine.is_running():
        return [Preview("engine", ("install Docker if it is missing, and start it",)), Preview("everything else", None)]
    missing = lab.store.missing(lab.part_names)
    found = [Preview("parts", tuple(f"make {name}" for name in missing))]
    if lab.spec.has_containers:
        found.append(Preview("node image", _stale(lab, ["node"])))
        found.append(Preview("nodes", _preview_nodes(lab)))
    readable = not missing and not found[-1].changes
    if not lab.spec.has_containers:
        cluster.reach_hosts(lab)
    return [*found, *(_preview_stage(lab, *stage, readable=readable) for stage in _node_stages(lab, readable))]


def preview_join(lab: Lab) -> list[Preview]:
    """Return what `kubelab-host join` would change now on this host, the last one of the lab. Missing parts hide it."""
    lab = lab.reading()
    missing = lab.store.missing(lab.part_names)
    parts = Preview("parts", tuple(f"make {name}" for name in missing))
    if missing:
        return [parts, *(Preview(name, None) for name in ("prepare", "join"))]
    host = lab.spec.hosts[-1]
    require_same_version(lab, [host])
    stages = ((name, [host], lambda steps=steps: steps) for name, steps in member_stages(lab, None))
    return [parts, *(_preview_stage(lab, *stage, readable=True) for stage in stages)]


def preview_stages(lab: Lab) -> list[Preview]:
    """Return what each stage of `kubelab up` would change now. Missing parts hide what comes after them."""
    bundled = images.bundled_images(lab)
    found = preview_cluster(lab)
    if found[-1].stage == "everything else":
        return found
    readable = found[-1].changes is not None
    if not bundled:
        if not engine.is_running():
            return [*found, Preview("registry and images", ("start Docker, which builds the images",))]
        found.append(Preview("registry", _preview_registry(lab)))
        if lab.spec.has_containers:
            found.append(Preview("hosting", _preview_hosting(lab) if readable and lab.kubeconfig.exists() else None))
        found.append(Preview("images", _stale(lab, images.chart_images(lab))))
    installed = readable and lab.kubeconfig.exists() and lab.digests_file.exists()
    if not lab.spec.has_containers:
        found.append(Preview("delivery", _preview_delivery(lab) if installed and not found[-1].changes else None))
    settled = installed and not found[-1].changes
    found.append(Preview("prepull", _preview_prepull(lab) if settled else None))
    found.append(Preview("release", _preview_release(lab) if settled else None))
    return found


def _node_stages(lab: Lab, readable: bool) -> list[tuple[str, Sequence[HostSpec], Callable[[], Sequence[Step]]]]:
    founder = find_founder(lab) if readable else None
    first = founder or lab.control_plane
    if readable:
        require_same_version(lab, lab.spec.hosts)
    # A cluster whose first control plane is gone has nothing more to begin.
    begins = readable and (founder is None or founder.name in read_stamped(lab, "kubeadm-init"))
    further = [host for host in lab.spec.control_planes if host is not first]
    stages: list[tuple[str, Sequence[HostSpec], Callable[[], Sequence[Step]]]] = [
        ("prepare", lab.spec.hosts, lambda: cluster.NODE_STEPS),
        ("control plane", [first] if begins or not readable else [], lambda: (cluster.init_step(lab),)),
        ("network", [first], lambda: (cluster.network_step(lab),)),
    ]
    if len(lab.spec.control_planes) > 1:
        stages.append(("control planes", further, lambda: (plan_step(),)))
    stages.append(("workers", lab.spec.workers, lambda: (plan_step(),)))
    for name, stamp, step in (
        ("snapshots", snapshots.STAMP, lambda: (upkeep.snapshots_step(lab),)),
        ("certificates", renewal.STAMP, lambda: (upkeep.renewal_step(),)),
    ):
        stages.append((name, upkeep.find_without(lab, stamp) if readable else lab.spec.control_planes, step))
    return stages


def _preview_stage(
    lab: Lab, stage: str, hosts: Sequence[HostSpec], steps: Callable[[], Sequence[Step]], *, readable: bool
) -> Preview:
    if not readable:
        return Preview(stage, None)
    parts, wanted = lab.parts(), steps()

    def read(host: HostSpec) -> tuple[str, ...]:
        plan, _ = read_plan(lab.runner(host), wanted, lab.node(host, parts))
        return tuple(each.change.summary for each in plan.changes)

    by_host = dict(zip([host.name for host in hosts], for_each(hosts, read), strict=True))
    lines = tuple(f"{name}: {change}" for name, changes in by_host.items() for change in changes)
    return Preview(stage, lines, by_host)


def _stale(lab: Lab, names: Sequence[str]) -> tuple[str, ...]:
    stale = find_stale(names, engine=lab.engine, store=lab.store, pythons=images.pythons_of(lab))
    return tuple(f"build {name}" for name in stale)


def _preview_registry(lab: Lab) -> tuple[str, ...]:
    found = registry_state(lab.engine)
    if found is None or not found.is_running:
        return ("start the registry",)
    same = Protection(found.tls, found.authentication) == lab.spec.registry
    return () if same else ("start the registry anew, protected otherwise",)


def _preview_hosting(lab: Lab) -> tuple[str, ...]:
    same = read_hosting(lab.kubeconfig) == registry.describe_hosting(lab)
    return () if same else ("write the ConfigMap local-registry-hosting",)


def _preview_delivery(lab: Lab) -> tuple[str, ...]:
    return tuple(each.summary for each in delivery.find_missing(lab))


def _preview_prepull(lab: Lab) -> tuple[str, ...]:
    missing = pulling.find_missing(lab, prepull.decide_pulls(lab).wanted)
    return tuple(f"{each.node}: pull {each.image}" for each in missing)


def _is_running(existing: dict[str, nodes.NodeState], name: str) -> bool:
    return name in existing and existing[name].status == "running"


def _preview_nodes(lab: Lab) -> tuple[str, ...]:
    existing = nodes.list_nodes(lab.engine, lab.spec.name)
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
