"""The table of contents of an installation: every stage of `kubelab cluster apply` and of `kubelab up`, in order.

Each stage can be run again at any time: it looks first, and does only what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.lab import cluster, delivery, images, machine, prepull, registry, release, upkeep
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.result import Outcome, StageResult

OVERALL = "up"


@dataclass(frozen=True)
class Stage:
    """One stage: `run` says whether it changed anything, and a line of detail."""

    name: str
    title: str
    run: Callable[[Lab], tuple[Outcome, str]]


CLUSTER_STAGES: tuple[Stage, ...] = (
    Stage("engine", "Docker is installed and runs", machine.ensure_engine),
    Stage("preflight", "memory, disk and ports are free", machine.check_preconditions),
    Stage("hosts", "every host is reached", cluster.reach_hosts),
    Stage("parts", "every third-party part is fetched or built, and verified", machine.fetch_parts),
    Stage("node image", "the container node's image is built", images.build_node_image),
    Stage("nodes", "the nodes run systemd", cluster.ensure_nodes),
    Stage("secrets", "what protects the lab's registry is kept", registry.keep_secrets),
    Stage("prepare", "the nodes have containerd, kubelet and their settings", cluster.prepare_nodes),
    Stage("control plane", "kubeadm init", cluster.make_control_plane),
    Stage("network", "Flannel and the policy engine", cluster.install_network),
    Stage("control planes", "kubeadm join of the further control planes", cluster.join_control_planes),
    Stage("workers", "kubeadm join", cluster.join_workers),
    Stage("ready", "every node is Ready and names resolve", cluster.wait_until_ready),
    Stage("snapshots", "etcd's data is saved on a timer", upkeep.enable_snapshots),
    Stage("certificates", "certificates are renewed before they end", upkeep.enable_renewal),
)
"""What `kubelab cluster apply` does, before its last stage."""

OPENING_STAGES = (Stage("source", "the hub's images are in a bundle, or can be built", images.find_image_source),)
HUB_STAGES: tuple[Stage, ...] = (
    Stage("registry", "the lab's registry runs", registry.start_registry),
    Stage("hosting", "the cluster says where its registry is", registry.announce_registry),
    Stage("images", "hub, proxy and notebook images are built", images.build_images),
    Stage("push", "the images are in the registry", images.push_images),
    Stage("delivery", "registries on hosts elsewhere have the images", delivery.deliver_images),
    Stage("prepull", "what users' servers start from is on the nodes", prepull.prepull_images),
    Stage("release", "the chart is installed", release.install_chart),
    Stage("healthy", "the hub answers", release.wait_until_healthy),
)
CLOSING_STAGES = (Stage("record", "each host's journal says that the run has ended", cluster.end_runs),)

APPLY_STAGES: tuple[Stage, ...] = (*CLUSTER_STAGES, *CLOSING_STAGES)
_OF_ONE_HOST = ("hosts", "parts", "prepare", "control plane", "network", "ready", "snapshots", "certificates", "record")
INIT_STAGES: tuple[Stage, ...] = tuple(stage for stage in APPLY_STAGES if stage.name in _OF_ONE_HOST)
"""What `kubelab-host init` does: those of them that concern a single host that is there already."""
STAGES: tuple[Stage, ...] = (*OPENING_STAGES, *CLUSTER_STAGES, *HUB_STAGES, *CLOSING_STAGES)


def run_stages(lab: Lab, stages: Sequence[Stage] = STAGES, overall: str = OVERALL) -> list[StageResult]:
    """Run the stages in order and return how each ended; the first error ends it and says where it was.

    A stage that says FAILED without an error does not end it: `require_success` is for whoever has the results.
    """
    results = []
    lab.reporter.start(overall, total=len(stages))
    for count, stage in enumerate(stages):
        lab.reporter.advance(overall, count, stage.title)
        began = time.monotonic()
        try:
            outcome, detail = stage.run(lab)
        except KubelabError as error:
            lab.reporter.finish(stage.name, Outcome.BLOCKED if isinstance(error, BlockedError) else Outcome.FAILED)
            raise
        seconds = time.monotonic() - began
        results.append(StageResult(stage.name, outcome, seconds, detail))
        lab.reporter.finish(stage.name, outcome, f"{detail} ({seconds:.1f} s)" if detail else f"{seconds:.1f} s")
    return results


def require_success(results: Sequence[StageResult]) -> None:
    """Require that no stage failed that the others went on without; KubelabError tells which did."""
    failed = [each for each in results if each.outcome is Outcome.FAILED]
    if failed:
        raise KubelabError(
            "all but this is done\n" + "\n".join(f"{each.name}: {each.detail}" for each in failed),
            next_step="what failed stands above, with its reason; the same command tries it again",
        )
