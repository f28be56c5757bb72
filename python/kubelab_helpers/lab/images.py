"""The images of a lab: built, in its registry, and on its nodes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.hosts.change import Action, Change
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.spec import NodeSpec
from kubelab_helpers.images import registry
from kubelab_helpers.images.build import BuiltImage, build
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.parallel import converge_all
from kubelab_helpers.result import Outcome

PROVISIONER = "image-local-path-provisioner"
CHART_IMAGES = ("proxy", "hub", "notebook")
PULL_TIMEOUT_SECONDS = 900.0


def pythons_of(lab: Lab) -> list[str]:
    """Return the Pythons that users choose from: kubelab.yaml's, else the catalogue's default ones."""
    return list(lab.spec.pythons or [each.version for each in load_catalog().pythons.values() if each.default])


def build_node_image(lab: Lab) -> tuple[Outcome, str]:
    """Build the container node's image."""
    if not lab.spec.has_containers:
        return Outcome.UNCHANGED, "no container nodes"
    return _summarize(_build(lab, ["node"]))


def start_registry(lab: Lab) -> tuple[Outcome, str]:
    """Start the lab's registry, reachable from this machine and from the nodes."""
    outcome = registry.start_registry(
        lab.engine,
        lab.spec.name,
        lab.spec.registry_address,
        lab.spec.name,
        lab.spec.ports.registry,
        reporter=lab.reporter,
        source=lab.spec.source,
    )
    return outcome, f"127.0.0.1:{lab.spec.ports.registry}"


def build_images(lab: Lab) -> tuple[Outcome, str]:
    """Build what the chart and its users start."""
    return _summarize(_build(lab, CHART_IMAGES))


def push_images(lab: Lab) -> tuple[Outcome, str]:
    """Push every image of the chart that the registry does not have, and keep the digests."""
    built = {image.name: image for image in _build(lab, CHART_IMAGES)}
    archive = lab.store.fetch([PROVISIONER], lab.reporter)[PROVISIONER]
    provisioner = registry.load_archive(lab.engine, archive, lab.image_reference(PROVISIONER))
    wanted = {"provisioner": (lab.image_reference(PROVISIONER), provisioner)}
    wanted |= {name: (image.reference, image.image_id) for name, image in built.items()}
    digests, pushed = dict[str, str](), 0
    for name, (reference, image_id) in wanted.items():
        result = registry.push(
            lab.engine, reference, image_id, machine_port=lab.spec.ports.registry, reporter=lab.reporter
        )
        digests[name], pushed = result.digest, pushed + result.changed
    lab.folder.mkdir(parents=True, exist_ok=True)
    lab.digests_file.write_text(json.dumps(digests, indent=1, sort_keys=True))
    return (Outcome.CHANGED if pushed else Outcome.UNCHANGED), f"{pushed} of {len(wanted)} pushed"


def digests_of(lab: Lab) -> dict[str, str]:
    """Return the digests in the registry of what `push_images` pushed last, by image name."""
    digests: dict[str, str] = json.loads(lab.digests_file.read_text())
    return digests


def prepull_images(lab: Lab) -> tuple[Outcome, str]:
    """Have the notebook images on every node that runs users' servers, so that no user waits for a pull."""
    digests = digests_of(lab)
    catalog = load_catalog()
    names = [f"notebook-py{version}" for version in pythons_of(lab)]
    references = [f"{catalog.images[name].reference(IMAGE_PREFIX)}@{digests[name]}" for name in names]
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
