"""The images of a lab: built, in its registry, and on its nodes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kubelab_helpers.artifacts.bundle import BundledImage, open_bundle, read_images
from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.cluster import engine
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.change import Action, Change
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.spec import NodeSpec
from kubelab_helpers.images.build import BuiltImage, build, input_hashes
from kubelab_helpers.images.catalog import Image, load_catalog
from kubelab_helpers.images.push import load_archive, push
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.parallel import converge_all
from kubelab_helpers.release.deploy import MULTI
from kubelab_helpers.result import Outcome

PROVISIONER = "image-local-path-provisioner"
PROVISIONER_NAME = "provisioner"
PULL_TIMEOUT_SECONDS = 900.0


def pythons_of(lab: Lab) -> list[str]:
    """Return the Pythons that users choose from: kubelab.yaml's, else the catalogue's default ones."""
    return list(lab.spec.pythons or [each.version for each in load_catalog().pythons.values() if each.default])


def chart_images(lab: Lab) -> list[str]:
    """Return the names of the images that the chart and its users start."""
    return ["proxy", "hub", "notebook", *([MULTI] if lab.spec.multi_kernel else [])]


def find_image_source(lab: Lab) -> tuple[Outcome, str]:
    """Settle before any host is touched where the hub's images come from: a bundle, or builds by an engine here."""
    if bundled_images(lab):
        return Outcome.UNCHANGED, "the bundle"
    # Container nodes need the engine themselves: the next stage's matter.
    return (Outcome.UNCHANGED if lab.spec.has_containers else engine.ensure_running()), "built here"


def build_node_image(lab: Lab) -> tuple[Outcome, str]:
    """Build the container node's image."""
    if not lab.spec.has_containers:
        return Outcome.UNCHANGED, "no container nodes"
    return _summarize(_build(lab, ["node"]))


def build_images(lab: Lab) -> tuple[Outcome, str]:
    """Build what the chart and its users start."""
    if bundled_images(lab):
        return Outcome.UNCHANGED, "the images are in the bundle"
    return _summarize(_build(lab, chart_images(lab)))


def push_images(lab: Lab) -> tuple[Outcome, str]:
    """Push every image of the chart that this machine's registry does not have, and keep the digests."""
    carried = bundled_images(lab)
    if carried:
        _keep_digests(lab, {name: image.digest for name, image in carried.items()})
        return Outcome.UNCHANGED, "the images are in the bundle"
    built = {image.name: image for image in _build(lab, chart_images(lab))}
    archive = lab.store.fetch([PROVISIONER], lab.reporter)[PROVISIONER]
    provisioner = load_archive(lab.engine, archive, lab.image_reference(PROVISIONER))
    wanted = {PROVISIONER_NAME: (lab.image_reference(PROVISIONER), provisioner)}
    wanted |= {name: (image.reference, image.image_id) for name, image in built.items()}
    digests, pushed = dict[str, str](), 0
    for name, (reference, image_id) in wanted.items():
        result = push(lab.engine, reference, image_id, access=lab.registry_access, reporter=lab.reporter)
        digests[name], pushed = result.digest, pushed + result.changed
    _keep_digests(lab, digests)
    return (Outcome.CHANGED if pushed else Outcome.UNCHANGED), f"{pushed} of {len(wanted)} pushed"


def digests_of(lab: Lab) -> dict[str, str]:
    """Return the digests in the registry of what `push_images` pushed last, by image name."""
    digests: dict[str, str] = json.loads(lab.digests_file.read_text())
    return digests


def image_references(lab: Lab) -> dict[str, str]:
    """Return the reference of every image that the chart and its users start, by name."""
    return {PROVISIONER_NAME: lab.image_reference(PROVISIONER)} | {
        image.name: image.reference(IMAGE_PREFIX) for image in _select(lab)
    }


def image_keys(lab: Lab) -> dict[str, str]:
    """Return the hash of what each of those images is built from, by name."""
    hashes = input_hashes(_select(lab), lab.store)
    return {
        name: lab.store.catalog.key(lab.artifact(PROVISIONER)) if name == PROVISIONER_NAME else hashes[name]
        for name in image_references(lab)
    }


def bundled_images(lab: Lab) -> dict[str, BundledImage]:
    """Return the images that a bundle brings for hosts elsewhere; none where they are to be built.

    BlockedError when the source is a bundle alone that has not all of them as this kubelab would build them.
    """
    if lab.spec.bundle is None or lab.spec.has_containers:
        return {}
    with open_bundle(lab.spec.bundle) as open_file:
        found = read_images(open_file, lab.spec.bundle)
    lacking = [name for name, key in image_keys(lab).items() if name not in found or found[name].key != key]
    if not lacking:
        return {name: found[name] for name in image_references(lab)}
    if lab.spec.source == "bundle":
        raise BlockedError(
            f"the bundle lacks images of this version of kubelab: {', '.join(lacking)}",
            next_step="make it again with `kubelab bundle create` and the same kubelab.yaml",
        )
    return {}


def prepull_images(lab: Lab) -> tuple[Outcome, str]:
    """Have the notebook images on every node that runs users' servers, so that no user waits for a pull."""
    digests = digests_of(lab)
    started_by_users = [image for image in _select(lab) if image.python or image.joined]
    references = [f"{image.reference(IMAGE_PREFIX)}@{digests[image.name]}" for image in started_by_users]
    hosts = lab.spec.workers or lab.spec.control_planes
    made = converge_all(lab, hosts, (pull_step(references),), lab.parts(), lambda host: f"pull on {host.name}")
    return (Outcome.CHANGED if made else Outcome.UNCHANGED), f"{made} pulls"


def pull_step(references: Sequence[str]) -> Step:
    """Return the step that pulls images by digest through the node's own registry configuration."""

    def desire(facts: HostFacts, spec: NodeSpec) -> list[Change]:
        return [_pull(reference) for reference in references]

    return Step("images", desire)


def _pull(reference: str) -> Action:
    name, _, digest = reference.partition("@")
    repository, _, tag = name.rpartition(":")
    pull = ("ctr", "--namespace=k8s.io", "images", "pull", "--hosts-dir=/etc/containerd/certs.d")
    # kubelet asks by repository@digest; containerd's CRI keeps that name for what it pulled itself.
    wanted = f"{repository}@{digest}"
    command = Command((*pull, wanted), timeout_seconds=PULL_TIMEOUT_SECONDS)
    stamp_name = "pull-" + repository.replace("/", "-").replace(":", "-") + "-" + tag
    return Action(stamp_name, f"pull {name}", digest, (command,))


def _select(lab: Lab) -> list[Image]:
    return load_catalog().select(chart_images(lab), pythons_of(lab))


def _keep_digests(lab: Lab, digests: dict[str, str]) -> None:
    lab.folder.mkdir(parents=True, exist_ok=True)
    lab.digests_file.write_text(json.dumps(digests, indent=1, sort_keys=True))


def _build(lab: Lab, names: Sequence[str]) -> list[BuiltImage]:
    return build(
        names,
        engine=lab.engine,
        reporter=lab.reporter,
        pythons=pythons_of(lab),
        registry=IMAGE_PREFIX,
        source=lab.spec.source,
        bundle=lab.spec.bundle,
        ca_bundle=lab.spec.ca_bundle,
    )


def _summarize(built: Sequence[BuiltImage]) -> tuple[Outcome, str]:
    changed = [image for image in built if image.changed]
    return (Outcome.CHANGED if changed else Outcome.UNCHANGED), f"{len(changed)} of {len(built)} built"
