"""Images of the lab's registry onto hosts: a few hosts at a time, and what fails on one keeps no other from its own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts.change import Change
from kubelab_helpers.hosts.executor import converge, read_plan
from kubelab_helpers.hosts.image import PulledImage
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.images.access import OWN_HOST
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.parallel import for_each
from kubelab_helpers.result import Outcome, SilentReporter

HOSTS_AT_ONCE = 4
"""All share the registry's line: the first ones are served early, and not all of them at the end."""
REMEDIES = {
    "no space left": "make room on {host}: `df -h /var/lib/containerd` there",
    "not found": "`kubelab up` builds and pushes what the registry lacks",
    "certificate": "let {host} trust who signed the registry's certificate",
    **dict.fromkeys(
        ("connection refused", "no route to host", "timeout", "no such host", "did not end within", "unreachable"),
        "see whether the registry runs and {host} reaches it: `kubelab registry status`, or, with control planes "
        "elsewhere, `systemctl status kubelab-registry` there",
    ),
}
"""What to do, by what containerd says."""

Wanted = Mapping[HostSpec, Sequence[PulledImage]]


@dataclass(frozen=True)
class Pull:
    """How one image came onto one node: `changed` if it was pulled now; `problem`: why it is not there, or empty."""

    node: str
    image: str
    changed: bool
    seconds: float = 0.0
    problem: str = ""


def find_pull(image: str, digests: Mapping[str, str]) -> PulledImage | None:
    """Return how containerd pulls an image of a pod; None for one of another registry.

    Those kubelet pulls, which has their Secrets. `digests`: those of the lab's own images, by `repository:tag`.
    """
    if not image.startswith(f"{OWN_HOST}/"):
        return None
    title, _, digest = image.partition("@")
    if digest:
        # kubelet asks by repository@digest; containerd's CRI keeps that name for what it pulled itself.
        return PulledImage(f"{title.rpartition(':')[0]}@{digest}", digest, title)
    return PulledImage(title, digests[title], title) if title in digests else None


def find_remedy(pull: Pull) -> str:
    """Return what to do about a pull's problem."""
    said = pull.problem.lower()
    remedy = next((each for word, each in REMEDIES.items() if word in said), "mend what is named on {host}")
    return remedy.format(host=pull.node)


def find_missing(lab: Lab, wanted: Wanted) -> list[Pull]:
    """Return what `pull_images` would pull; nothing is written."""
    parts = lab.parts()

    def read(host: HostSpec) -> list[Pull]:
        missing = _read_missing(lab, host, wanted[host], parts)
        return [Pull(host.name, image.title, changed=True) for image in wanted[host] if image.id in missing]

    return [each for found in for_each(list(wanted), read) for each in found]


def pull_images(lab: Lab, wanted: Wanted, *, give_up: bool = False) -> list[Pull]:
    """Pull onto each host what it lacks, in order, and return how that went.

    Whatever fails stands in the result, and the rest goes on; with `give_up` a host's first failure is its last.
    """
    if not wanted:
        return []
    parts, stop = lab.parts(), Event()

    def work(host: HostSpec) -> list[Pull]:
        try:
            return _pull_onto(lab, host, wanted[host], parts, stop, give_up=give_up)
        except KubelabError as error:  # the host itself is not to be had
            lab.reporter.finish(_task(host), Outcome.FAILED, _reason(error))
            return [Pull(host.name, image.title, changed=False, problem=_reason(error)) for image in wanted[host]]

    return [each for made in for_each(list(wanted), work, at_once=HOSTS_AT_ONCE, stop=stop) for each in made]


def _pull_onto(
    lab: Lab, host: HostSpec, images: Sequence[PulledImage], parts: dict[str, Path], stop: Event, *, give_up: bool
) -> list[Pull]:
    missing = _read_missing(lab, host, images, parts)
    pulls = [Pull(host.name, image.title, changed=False) for image in images if image.id not in missing]
    if not missing:
        return pulls
    lab.reporter.start(_task(host), total=len(missing))
    for count, image in enumerate(each for each in images if each.id in missing):
        lab.reporter.advance(_task(host), count, image.title)
        pulls.append(_pull(lab, host, image, parts))
        if stop.is_set() or (give_up and pulls[-1].problem):
            break
    _tell_end(lab, host, pulls)
    return pulls


def _pull(lab: Lab, host: HostSpec, image: PulledImage, parts: dict[str, Path]) -> Pull:
    began, made, problem = time.monotonic(), 0, ""
    try:
        made = converge(lab.runner(host), (_step([image]),), lab.node(host, parts), SilentReporter(), _task(host))
    except KubelabError as error:
        problem = _reason(error)
    return Pull(host.name, image.title, made > 0, time.monotonic() - began, problem)


def _tell_end(lab: Lab, host: HostSpec, pulls: Sequence[Pull]) -> None:
    failed = [each for each in pulls if each.problem]
    if failed:
        told = "; ".join(f"{each.image}: {each.problem}" for each in failed)
        lab.reporter.finish(_task(host), Outcome.FAILED, told)
        return
    lab.reporter.finish(_task(host), Outcome.CHANGED, f"{sum(each.changed for each in pulls)} images")


def _read_missing(lab: Lab, host: HostSpec, images: Sequence[PulledImage], parts: dict[str, Path]) -> set[str]:
    plan, _ = read_plan(lab.runner(host), (_step(images),), lab.node(host, parts))
    return {each.change.id for each in plan.changes}


def _step(images: Sequence[PulledImage]) -> Step:
    return Step("images", lambda _facts, _spec: list[Change](images))


def _task(host: HostSpec) -> str:
    return f"images on {host.name}"


def _reason(error: KubelabError) -> str:
    """Return the last line of what was said: containerd's own, where it refused."""
    return error.what.strip().splitlines()[-1].removeprefix("ctr: ")
