"""What users' servers start from, on the nodes where one may run before anybody asks for one.

The chart says which images go where (its DaemonSets, templates/image-puller); kubelab pulls those of the lab's own
registry before they begin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubelab_helpers import resources
from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.cluster import placement
from kubelab_helpers.cluster.kubectl import read_items
from kubelab_helpers.cluster.placement import Placement
from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.document import merge, suggest
from kubelab_helpers.errors import BlockedError, InvalidInputError, KubelabError
from kubelab_helpers.hosts.image import PulledImage
from kubelab_helpers.lab import release
from kubelab_helpers.lab.cluster import end_runs
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.images import digests_of, image_references, select_images
from kubelab_helpers.lab.joining import find_acting
from kubelab_helpers.lab.pulling import Pull, find_pull, find_remedy, pull_images
from kubelab_helpers.release import deploy
from kubelab_helpers.release.values import CHART
from kubelab_helpers.result import Outcome

ALWAYS = {"prePuller": {"continuous": {"enabled": True}}}
"""The DaemonSets say where images go, also in a lab that does not run them."""


@dataclass(frozen=True)
class Decision:
    """What goes onto which host; `others`: images of other registries, which the cluster pulls with its own Secrets."""

    wanted: Mapping[HostSpec, tuple[PulledImage, ...]]
    others: tuple[str, ...] = ()


def prepull_images(lab: Lab) -> tuple[Outcome, str]:
    """Have the images on the nodes before the chart is installed, so that its DaemonSets find them.

    What fails is told, and stops nothing: the hub serves from the nodes that have them.
    """
    pulls = pull_images(lab, decide_pulls(lab).wanted)
    failed = sum(bool(each.problem) for each in pulls)
    if failed:
        return Outcome.FAILED, f"{failed} of {len(pulls)} pulls; `kubelab image prepull` tries them again"
    made = sum(each.changed for each in pulls)
    return (Outcome.CHANGED if made else Outcome.UNCHANGED), f"{made} pulls"


def prepull_by_name(lab: Lab, nodes: Sequence[str] = (), images: Sequence[str] = ()) -> tuple[Decision, list[Pull]]:
    """Pull as `decide_pulls` says, end the run on the hosts where all went well, and return what was done."""
    decided = decide_pulls(lab, nodes, images)
    pulls = pull_images(lab, decided.wanted)
    failed = {each.node for each in pulls if each.problem}
    end_runs(lab, [host for host in decided.wanted if host.name not in failed])
    return decided, pulls


def decide_pulls(lab: Lab, nodes: Sequence[str] = (), images: Sequence[str] = ()) -> Decision:
    """Return which of the lab's images go onto which of its hosts; by names, only those.

    `images`: names of the catalogue, or `repository:tag`. InvalidInputError for a name that is none, or a node on which
    no user's server may run; BlockedError before the images are pushed, or where no control plane answers.
    """
    hosts = [lab.spec.host(name) for name in nodes] or list(lab.spec.hosts)
    placements = read_placements(lab)
    titles = _find_titles(lab, placements, images)
    traits = [placement.read_traits(item) for item in read_items(find_acting(lab), "nodes")]
    found = placement.select_images(placements, traits)
    absent = [host.name for host in hosts if nodes and host.name not in {each.name for each in traits}]
    if absent:
        raise BlockedError(f"not in the cluster yet: {', '.join(absent)}", next_step=f"kubelab cluster add {absent[0]}")
    useless = [name for name in nodes if name not in found]
    if useless:
        raise InvalidInputError(
            f"no user's server may run on {', '.join(useless)}: no profile selects it, or tolerates its taints",
            next_step=f"choose among {', '.join(found) or 'no node: see singleuser.nodeSelector'}",
        )
    digests = _digests_by_reference(lab)
    wanted, others = {}, dict[str, None]()
    for host in hosts:
        pulled = [find_pull(image, digests) for image in found.get(host.name, ())]
        chosen = tuple(each for each in pulled if each and (not images or each.title in titles))
        others |= dict.fromkeys(image for image in found.get(host.name, ()) if not find_pull(image, digests))
        if chosen:
            wanted[host] = chosen
    return Decision(wanted, tuple(others))


def read_placements(lab: Lab) -> list[Placement]:
    """Return where users' servers start from which image, as the chart has it with this lab's values."""
    if not lab.digests_file.exists():
        raise BlockedError(
            "no image of this lab has been pushed from here yet", next_step="`kubelab up` builds and pushes them"
        )
    values = merge(release.values_of(lab), ALWAYS)
    objects = release.helm_of(lab).render(deploy.RELEASE, deploy.NAMESPACE, resources.path(CHART), values)
    return deploy.find_placements(objects)


def explain_failures(pulls: Sequence[Pull]) -> KubelabError | None:
    """Return the error that tells of every pull that failed, and what to do; None where none did."""
    failed = [each for each in pulls if each.problem]
    if not failed:
        return None
    nodes = dict.fromkeys(each.node for each in failed)
    return KubelabError(
        "\n".join(f"{each.node}: {each.image}: {each.problem}" for each in failed),
        repeat=" ".join(["kubelab image prepull", *(f"--node {name}" for name in nodes)]),
        next_step="; ".join(dict.fromkeys(find_remedy(each) for each in failed)),
    )


def _find_titles(lab: Lab, placements: Sequence[Placement], names: Sequence[str]) -> set[str]:
    """Return the `repository:tag` of the named images; InvalidInputError for a name of which no server starts."""
    digests = _digests_by_reference(lab)
    used = {pull.title for each in placements for image in each.images if (pull := find_pull(image, digests))}
    by_name = {title: {title} for title in used}
    for image in select_images(lab):
        if (title := image.reference(IMAGE_PREFIX)) in used:
            for name in (image.name, image.repository):
                by_name.setdefault(name, set()).add(title)
    for name in names:
        if name not in by_name:
            raise InvalidInputError(
                f"no user's server of this lab starts from {name}{suggest(name, by_name)}",
                next_step=f"choose among {', '.join(sorted(by_name))}",
            )
    return {title for name in names for title in by_name[name]}


def _digests_by_reference(lab: Lab) -> dict[str, str]:
    digests = digests_of(lab)
    return {reference: digests[name] for name, reference in image_references(lab).items() if name in digests}
