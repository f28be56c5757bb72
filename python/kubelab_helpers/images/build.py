"""Building the catalogue's images, parents first, several at a time, and only those whose inputs changed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kubelab_helpers import resources
from kubelab_helpers.artifacts.catalog import architecture
from kubelab_helpers.artifacts.catalog import load_catalog as load_artifacts
from kubelab_helpers.artifacts.source import IMAGE_PREFIX, SourceName, Store
from kubelab_helpers.cluster.engine import client as running_engine
from kubelab_helpers.images.base import base_reference, import_bases
from kubelab_helpers.images.builder import Builder
from kubelab_helpers.images.catalog import BASE_PREFIX, IMAGE_ARGUMENT, Image, ImageCatalog, Python, load_catalog
from kubelab_helpers.images.client import BuildClient, find_build_client
from kubelab_helpers.images.dockerfile import build_folder
from kubelab_helpers.images.failure import join_failures
from kubelab_helpers.images.inputs import image_hash
from kubelab_helpers.images.platform import parse_platform, require_platform
from kubelab_helpers.images.presence import find_image
from kubelab_helpers.images.schedule import decide_jobs, read_capacity, run_in_order
from kubelab_helpers.images.secrets import build_secrets
from kubelab_helpers.result import Reporter, SilentReporter

if TYPE_CHECKING:
    from docker import DockerClient

INPUT_LABEL = "io.kubelab.input-hash"
TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True)
class BuiltImage:
    """An image as it is now: built by this call (`changed`), or found with the same inputs."""

    name: str
    reference: str
    image_id: str
    input_hash: str
    changed: bool
    seconds: float
    size_bytes: int


@dataclass(frozen=True)
class BuildContext:
    """What every build of one call shares."""

    engine: DockerClient
    catalog: ImageCatalog
    store: Store
    registry: str
    reporter: Reporter
    ca_bundle: Path | None = None
    jobs: int | None = None
    no_cache: bool = False
    platform: str | None = None


def build(
    names: Sequence[str] | None = None,
    *,
    reporter: Reporter,
    engine: DockerClient | None = None,
    pythons: Sequence[str] | None = None,
    registry: str = IMAGE_PREFIX,
    source: SourceName = "auto",
    bundle: Path | None = None,
    ca_bundle: Path | None = None,
    jobs: int | None = None,
    no_cache: bool = False,
    platform: str | None = None,
) -> list[BuiltImage]:
    """Build the named images (all, by default) with their parents and return them, parents first.

    `pythons` chooses the notebook images; `ca_bundle` is what builds trust, by default what this machine trusts; `jobs`
    is how many are built at once, by default what the machine carries. An image whose inputs are unchanged is left
    alone, but with `no_cache`, which builds all from their beginning. After a failure none begins any more; what was
    built stays, and the KubelabError names every one that failed. With `platform` (such as `linux/arm64`) of another
    architecture they have it at the end of their tags; BlockedError says what is missing to build them here.
    """
    catalog, store = load_catalog(), Store(source, bundle)
    if (arch := parse_platform(platform)) != architecture():
        catalog, store = catalog.for_architecture(arch), Store(source, bundle, load_artifacts(arch=arch))
    else:
        platform = None
    engine = engine or running_engine()
    context = BuildContext(engine, catalog, store, registry, reporter, ca_bundle, jobs, no_cache, platform)
    selected = context.catalog.select(names, pythons)
    hashes = input_hashes(selected, context.store, registry)
    current = {image.name: _current(context, image, hashes[image.name]) for image in selected}
    stale = [image for image in selected if no_cache or current[image.name] is None]
    made = _build_stale(context, stale, hashes) if stale else {}
    return [made.get(image.name) or _require(current[image.name]) for image in selected]


def find_stale(
    names: Sequence[str] | None,
    *,
    engine: DockerClient,
    store: Store,
    pythons: Sequence[str] | None = None,
    registry: str = IMAGE_PREFIX,
) -> list[str]:
    """Return the names of the images that `build` would build; nothing is built."""
    context = BuildContext(engine, load_catalog(), store, registry, SilentReporter())
    selected = context.catalog.select(names, pythons)
    hashes = input_hashes(selected, store, registry)
    return [image.name for image in selected if _current(context, image, hashes[image.name]) is None]


def input_hashes(images: Sequence[Image], store: Store, registry: str = IMAGE_PREFIX) -> dict[str, str]:
    """Return each image's input hash by name; what an image stands on is part of it. `images`: as `select` returns."""
    hashes: dict[str, str] = {}
    for image in images:
        keys = {name: store.catalog.key(name) for name in image.bases}
        below = [hashes[name] for name in image.stands_on]
        hashes[image.name] = image_hash(image, image_folder(image), keys, below, registry)
    return hashes


def image_folder(image: Image) -> Path:
    """Return the folder with the image's Dockerfile."""
    return resources.path(f"images/{image.folder}")


def _build_stale(context: BuildContext, stale: Sequence[Image], hashes: Mapping[str, str]) -> dict[str, BuiltImage]:
    client = find_build_client()
    require_platform(context.engine, context.store, stale)
    bases = list(dict.fromkeys(name for image in stale for name in image.bases))
    import_bases(context.engine, context.store, bases, context.reporter)
    by_name = {image.name: image for image in stale}
    builder = Builder(context.engine, context.reporter)
    cpus, available_bytes = read_capacity(context.engine)
    with build_secrets(context.ca_bundle) as secrets:
        built, failed = run_in_order(
            {image.name: [name for name in image.stands_on if name in by_name] for image in stale},
            lambda name: _build_one(context, client, builder, by_name[name], hashes[name], secrets),
            jobs=decide_jobs(len(stale), cpus, available_bytes, context.jobs),
            end=builder.children.end,
        )
    if failed:
        not_begun = [name for name in by_name if name not in built and name not in failed]
        raise join_failures(failed, built=list(built), not_begun=not_begun)
    return built


def _build_one(
    context: BuildContext,
    client: BuildClient,
    builder: Builder,
    image: Image,
    input_hash: str,
    secrets: dict[str, Path],
) -> BuiltImage:
    reference, began = image.reference(context.registry), time.monotonic()
    with build_folder(image, image_folder(image), context.catalog, context.registry) as folder:
        command = client.command(
            folder,
            reference,
            arguments=_arguments(context, image),
            labels=_labels(context, image, input_hash),
            secrets=secrets,
            timeout_seconds=TIMEOUT_SECONDS,
            no_cache=context.no_cache,
            platform=context.platform,
        )
        built = builder.build(image.name, reference, command, repeat=_repeat(context, image))
    seconds = time.monotonic() - began
    return BuiltImage(image.name, reference, str(built.id), input_hash, True, seconds, built.attrs["Size"])


def _repeat(context: BuildContext, image: Image) -> str:
    pythons = [f"--python {_python_of(context.catalog.images[name]).version}" for name in image.joined]
    platform = [f"--platform {context.platform}"] if context.platform else []
    return " ".join(["kubelab image build", image.name, *pythons, *platform])


def _arguments(context: BuildContext, image: Image) -> dict[str, str]:
    def root(name: str) -> str:
        return base_reference(name, context.store.catalog.key(name))

    def built(name: str) -> str:
        return context.catalog.images[name].reference(context.registry)

    def resolve(text: str) -> str:
        if text.startswith(BASE_PREFIX):
            return root(text.removeprefix(BASE_PREFIX))
        return built(text.removeprefix(IMAGE_ARGUMENT)) if text.startswith(IMAGE_ARGUMENT) else text

    stands_on = built(image.below) if image.below else root(str(image.base))
    return {"BASE": stands_on, **{name: resolve(text) for name, text in image.arguments}}


def _labels(context: BuildContext, image: Image, input_hash: str) -> dict[str, str]:
    """Return the image's labels: https://github.com/opencontainers/image-spec/blob/main/annotations.md."""
    labels = {
        "org.opencontainers.image.title": image.title,
        "org.opencontainers.image.version": image.tag,
        "org.opencontainers.image.base.name": image.base or str(image.below),
        INPUT_LABEL: input_hash,
    }
    labels |= {f"io.kubelab.base-key.{name}": context.store.catalog.key(name) for name in image.bases}
    if image.python:
        origin = str(image.python.origin)
        labels |= {"io.kubelab.python": image.python.version, "io.kubelab.python-source": origin}
        if not context.store.missing([origin]):  # what was imported long ago may be gone from the cache
            labels["io.kubelab.python-source-sha256"] = context.store.sha256(origin)
    if image.joined:
        versions = [_python_of(context.catalog.images[name]).version for name in image.joined]
        labels["io.kubelab.python"] = " ".join(versions)
    return labels


def _python_of(image: Image) -> Python:
    assert image.python is not None
    return image.python


def _current(context: BuildContext, image: Image, input_hash: str) -> BuiltImage | None:
    found = find_image(context.engine, image, context.registry)
    if found is None or found.labels.get(INPUT_LABEL) != input_hash:
        return None
    reference = image.reference(context.registry)
    return BuiltImage(image.name, reference, str(found.id), input_hash, False, 0.0, found.attrs["Size"])


def _require(found: BuiltImage | None) -> BuiltImage:
    assert found is not None
    return found
