"""The hub's images on hosts elsewhere: brought over the same connection as all else, into a registry on each of them.

Every control plane has them, so that pulls go on when one is down; the other nodes ask all in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kubelab_helpers.artifacts import bundle
from kubelab_helpers.cluster import registry
from kubelab_helpers.cluster.registry import StoredImage
from kubelab_helpers.hosts.change import Change
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.spec import NodeSpec
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.images import layout
from kubelab_helpers.images.layout import LayoutImage, Opener
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.images import bundled_images, digests_of, image_keys, image_references
from kubelab_helpers.lab.parallel import converge_all, for_each
from kubelab_helpers.result import Outcome

TASK = "delivery"


def deliver_images(lab: Lab) -> tuple[Outcome, str]:
    """Have a registry on each control plane, and in it what `push_images` named; container nodes have this machine's.

    Only images that a host's registry lacks are read and sent.
    """
    if lab.spec.has_containers:
        return Outcome.UNCHANGED, "container nodes"
    hosts, parts = lab.spec.control_planes, lab.parts()
    made = converge_all(lab, hosts, (registry_step(lab),), parts, lambda host: f"registry on {host.name}")
    lab.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".images-", dir=lab.folder) as scratch:
        missing = find_missing(lab, Path(scratch))
        _write_archives(lab, missing, Path(scratch))
        step = Step("images of the hub", lambda _facts, _spec: list[Change](missing))
        made += converge_all(lab, hosts, (step,), parts, lambda host: f"images to {host.name}")
    return (Outcome.CHANGED if made else Outcome.UNCHANGED), f"{len(missing)} images sent"


def find_missing(lab: Lab, archives: Path = Path()) -> list[StoredImage]:
    """Return the images that some control plane's registry lacks, each with its archive to be in that folder."""
    wanted = list_wanted(lab, archives)
    watched = [name for each in wanted for name in each.watched]
    states = for_each(lab.spec.control_planes, lambda host: probe_state(lab.runner(host), watched))
    return [each for each in wanted if not all(each.satisfied_by(state) for state in states)]


def list_wanted(lab: Lab, archives: Path = Path()) -> list[StoredImage]:
    """Return every image that the chart and its users start, as it was pushed last."""
    digests = digests_of(lab)
    return [
        StoredImage(reference, digests[name], archives / f"{name}.tar")
        for name, reference in image_references(lab).items()
    ]


def registry_step(lab: Lab) -> Step:
    """Return the step that lets a control plane serve images at its address."""
    program = lab.program("registry", lab.parts())

    def desire(facts: HostFacts, spec: NodeSpec) -> list[Change]:
        return registry.desire_registry(program, spec.address)

    return Step(registry.STEP, desire)


def export_images(lab: Lab, folder: Path) -> bundle.ImageLayout:
    """Copy the pushed images out of this machine's registry into an OCI layout, as a bundle carries it."""
    digests, keys = digests_of(lab), image_keys(lab)
    wanted = {name: LayoutImage(reference, digests[name]) for name, reference in image_references(lab).items()}
    open_file = _in_folder(folder)
    lab.reporter.start(TASK, total=len(wanted))
    images = {}
    for count, (name, image) in enumerate(wanted.items()):
        lab.reporter.advance(TASK, count, f"copying {name}")
        layout.copy_image(image, folder, lab.registry_access)
        files = {layout.blob_name(each): each.partition(":")[2] for each in layout.list_blobs(image, open_file)}
        images[name] = bundle.BundledImage(keys[name], image.reference, image.digest, files)
    (folder / "oci-layout").write_bytes(layout.LAYOUT)
    (folder / "index.json").write_bytes(layout.index_of(list(wanted.values()), open_file))
    lab.reporter.finish(TASK, Outcome.CHANGED, f"{len(wanted)} images")
    return bundle.ImageLayout(folder, images)


def _write_archives(lab: Lab, missing: Sequence[StoredImage], scratch: Path) -> None:
    if not missing:
        return
    images = [LayoutImage(each.reference, each.digest) for each in missing]
    lab.reporter.start(TASK, total=len(images))
    with _open_source(lab, images, scratch / "layout") as open_file:
        for count, (image, change) in enumerate(zip(images, missing, strict=True)):
            lab.reporter.advance(TASK, count, f"reading {image.reference}")
            layout.write_archive(image, open_file, change.archive)
    lab.reporter.finish(TASK, Outcome.CHANGED, f"{len(images)} images read")


@contextmanager
def _open_source(lab: Lab, images: Sequence[LayoutImage], folder: Path) -> Iterator[Opener]:
    """Open the layout that the images are in: the bundle's, else one copied from this machine's registry."""
    if bundled_images(lab) and lab.spec.bundle is not None:
        with bundle.open_bundle(lab.spec.bundle) as open_file:
            yield lambda name: open_file(f"{bundle.IMAGES}/{name}")
        return
    for image in images:
        layout.copy_image(image, folder, lab.registry_access)
    yield _in_folder(folder)


def _in_folder(folder: Path) -> Opener:
    return lambda name: (folder / name).open("rb")
