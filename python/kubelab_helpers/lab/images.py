"""The images of a lab: built, and in its registry."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kubelab_helpers.artifacts.bundle import BundledImage, open_bundle, read_images
from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.cluster import engine
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.images.archive import load_archive
from kubelab_helpers.images.build import BuiltImage, build, input_hashes
from kubelab_helpers.images.catalog import Image, load_catalog
from kubelab_helpers.images.publication import Candidate, publish
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.release.deploy import PROVISIONER_NAME, joined_family
from kubelab_helpers.result import Outcome

PROVISIONER = "image-local-path-provisioner"


def pythons_of(lab: Lab) -> list[str]:
    """Return the Pythons that users choose from: kubelab.yaml's, else the catalogue's default ones."""
    return list(lab.spec.pythons or [each.version for each in load_catalog().pythons.values() if each.default])


def notebook_family(lab: Lab) -> str:
    """Return the name of the images per Python that users start: kubelab.yaml's `latex` chooses."""
    return "notebook-latex" if lab.spec.latex else "notebook"


def chart_images(lab: Lab) -> list[str]:
    """Return the names of the images that the chart and its users start."""
    family = notebook_family(lab)
    return ["proxy", "hub", family, *([joined_family(family)] if lab.spec.multi_kernel else [])]


def select_images(lab: Lab) -> list[Image]:
    """Return the images of the catalogue that the chart and its users start, not what those stand on."""
    return load_catalog().named(chart_images(lab), pythons_of(lab))


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
        keep_digests(lab, {name: image.digest for name, image in carried.items()})
        return Outcome.UNCHANGED, "the images are in the bundle"
    started = {image.name for image in select_images(lab)}
    built = [each for each in _build(lab, chart_images(lab)) if each.name in started]
    wanted = [provisioner_candidate(lab)]
    wanted += [Candidate(each.name, each.reference, lab.engine.images.get(each.image_id)) for each in built]
    pushed = publish(lab.engine, wanted, access=lab.registry_access, reporter=lab.reporter, repeat="kubelab up")
    keep_digests(lab, {each.name: each.digest for each in pushed})
    changed = sum(each.changed for each in pushed)
    return (Outcome.CHANGED if changed else Outcome.UNCHANGED), f"{changed} of {len(wanted)} pushed"


def provisioner_candidate(lab: Lab, prefix: str = IMAGE_PREFIX) -> Candidate:
    """Return the volume provisioner's image, which is a third party's part, as it is to be in a registry."""
    archive = lab.store.fetch([PROVISIONER], lab.reporter)[PROVISIONER]
    here = lab.image_reference(PROVISIONER)
    image_id = load_archive(lab.engine, archive, here)
    reference = prefix + here.removeprefix(IMAGE_PREFIX)
    return Candidate(PROVISIONER_NAME, reference, lab.engine.images.get(image_id))


def digests_of(lab: Lab) -> dict[str, str]:
    """Return the digests in the registry of what `push_images` pushed last, by image name."""
    digests: dict[str, str] = json.loads(lab.digests_file.read_text())
    return digests


def image_references(lab: Lab) -> dict[str, str]:
    """Return the reference of every image that the chart and its users start, by name."""
    return {PROVISIONER_NAME: lab.image_reference(PROVISIONER)} | {
        image.name: image.reference(IMAGE_PREFIX) for image in select_images(lab)
    }


def image_keys(lab: Lab) -> dict[str, str]:
    """Return the hash of what each of those images is built from, by name."""
    hashes = input_hashes(load_catalog().select(chart_images(lab), pythons_of(lab)), lab.store)
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


def keep_digests(lab: Lab, digests: dict[str, str]) -> None:
    """Keep which digests the lab's registry has, in place of those kept before."""
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
