"""Images of kubelab that nothing needs any more, found on this machine's engine and removed; no one else's are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kubelab_helpers.artifacts.source import IMAGE_PREFIX, Store
from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.images.base import REPOSITORY
from kubelab_helpers.images.build import INPUT_LABEL, input_hashes
from kubelab_helpers.images.catalog import ImageCatalog
from kubelab_helpers.images.registry import ARTIFACT, OWN_REPOSITORY
from kubelab_helpers.result import Outcome, Reporter

if TYPE_CHECKING:
    from docker import DockerClient

VERSION_LABEL = "org.opencontainers.image.version"
PYTHON_LABEL = "io.kubelab.python"
BASE_PREFIX = REPOSITORY.format(name="")
TASK = "prune images"
HTTP_NOT_FOUND, HTTP_CONFLICT = 404, 409

Reason = Literal["not in the catalogue", "of other inputs than today's", "replaced by a newer build"]


@dataclass(frozen=True)
class StaleImage:
    """A name of an image that nothing needs. `unique_bytes`: what no other image of the engine shares with it."""

    name: str
    image_id: str
    reason: Reason
    unique_bytes: int


@dataclass(frozen=True)
class PrunePlan:
    """What would go, what stays because a container was made from it, and how many images of ours have no name.

    Something without a name that has kubelab's labels may be another's, built on an image of kubelab: it stays.
    """

    stale: tuple[StaleImage, ...]
    in_use: tuple[StaleImage, ...]
    nameless: int


@dataclass(frozen=True)
class Pruned:
    """What went. `freed_bytes` is measured on the engine: `layers_bytes` without what its build cache still holds."""

    removed: tuple[StaleImage, ...]
    in_use: tuple[StaleImage, ...]
    layers_bytes: int
    freed_bytes: int


def plan_prune(engine: DockerClient, catalog: ImageCatalog, store: Store, registry: str = IMAGE_PREFIX) -> PrunePlan:
    """Return what `prune` would remove; nothing is changed.

    Ours is what bears a name that only kubelab gives: a repository of the catalogue below `registry`, with its labels,
    one of the artifacts, or `localhost/kubelab/...`. An image for several Pythons is judged by those that it has.
    """
    judge = _Judge(catalog, store, registry)
    unique = {each["Id"]: max(int(each["Size"]) - int(each["SharedSize"]), 0) for each in engine.df()["Images"] or ()}
    used = {each["ImageID"] for each in engine.api.containers(all=True)}
    found = [
        (StaleImage(name, str(image.id), reason, unique.get(str(image.id), 0)), image.id in used)
        for image in engine.images.list()
        for name in [*image.tags, *_bare_digests(image)]
        if (reason := judge.reason(name, image.labels))
    ]
    nameless = sum(1 for image in engine.images.list() if INPUT_LABEL in image.labels and not _names(image))
    stale = sorted((each for each, is_used in found if not is_used), key=lambda each: each.name)
    in_use = sorted((each for each, is_used in found if is_used), key=lambda each: each.name)
    return PrunePlan(tuple(stale), tuple(in_use), nameless)


def prune(engine: DockerClient, plan: PrunePlan, reporter: Reporter) -> Pruned:
    """Remove what the plan names; one that a container came to use since stays. Nothing is forced."""
    from docker.errors import APIError

    if not plan.stale:
        return Pruned((), plan.in_use, 0, 0)
    layers, total = _layers_bytes(engine), _stored_bytes(engine)
    removed, in_use = list[StaleImage](), list(plan.in_use)
    reporter.start(TASK, total=len(plan.stale))
    for count, each in enumerate(plan.stale):
        reporter.advance(TASK, count, f"removing {each.name}")
        try:
            engine.images.remove(each.name, noprune=True)
            removed.append(each)
        except APIError as error:
            if error.status_code == HTTP_CONFLICT:
                in_use.append(each)
            elif error.status_code != HTTP_NOT_FOUND:
                raise
    reporter.finish(TASK, Outcome.CHANGED if removed else Outcome.UNCHANGED, f"{len(removed)} removed")
    layers_freed, freed = layers - _layers_bytes(engine), total - _stored_bytes(engine)
    return Pruned(tuple(removed), tuple(in_use), max(layers_freed, 0), max(freed, 0))


class _Judge:
    """Says why a name is no longer needed, or that it is, or is not ours."""

    def __init__(self, catalog: ImageCatalog, store: Store, registry: str) -> None:
        self._catalog, self._store, self._registry = catalog, store, registry
        self._images = {image.reference(registry): image for image in catalog.images.values()}
        self._repositories = {f"{registry}/{image.repository}" for image in catalog.images.values()}
        parts = [each.image_name for each in store.catalog.artifacts.values() if "repository" in each.recipe]
        self._parts = {f"{registry}/{name}" for name in parts}
        self._part_repositories = {name.rpartition(":")[0] for name in self._parts}
        every = list(catalog.images.values())
        self._hashes = input_hashes(every, store, registry)

    def reason(self, name: str, labels: dict[str, str]) -> Reason | None:
        repository, _, tag = name.partition("@")[0].rpartition(":")
        if "@" in name:
            repository = name.partition("@")[0]
            is_ours = repository in self._repositories and INPUT_LABEL in labels
            return "replaced by a newer build" if is_ours else None
        if repository.startswith(BASE_PREFIX):
            return self._judge_base(repository.removeprefix(BASE_PREFIX), tag)
        if repository == OWN_REPOSITORY:
            return self._judge_base(ARTIFACT, tag)
        if repository in self._part_repositories:
            return None if name in self._parts else "not in the catalogue"
        # Whoever builds on an image of kubelab inherits its labels; its own tag then is not the one that they tell.
        if repository not in self._repositories or INPUT_LABEL not in labels or labels.get(VERSION_LABEL) != tag:
            return None
        if name not in self._images:
            return "not in the catalogue"
        return None if labels[INPUT_LABEL] == self._wanted(name, labels) else "of other inputs than today's"

    def _judge_base(self, artifact: str, key: str) -> Reason | None:
        if artifact not in self._store.catalog.artifacts:
            return "not in the catalogue"
        return None if self._store.catalog.key(artifact) == key else "of other inputs than today's"

    def _wanted(self, name: str, labels: dict[str, str]) -> str | None:
        image = self._images[name]
        if not image.joined:
            return self._hashes[image.name]
        try:
            chosen = self._catalog.select([image.name], labels.get(PYTHON_LABEL, "").split())
        except InvalidInputError:  # one of its Pythons is not in the catalogue any more
            return None
        return input_hashes(chosen, self._store, self._registry)[image.name]


def _names(image: Any) -> list[str]:
    return [*image.tags, *(image.attrs.get("RepoDigests") or ())]


def _bare_digests(image: Any) -> Iterator[str]:
    """Yield the names by digest of an image whose tag has moved on to another."""
    return iter(() if image.tags else image.attrs.get("RepoDigests") or ())


def _layers_bytes(engine: DockerClient) -> int:
    return int(engine.df()["LayersSize"])


def _stored_bytes(engine: DockerClient) -> int:
    """Return the bytes of all layers and of what the build cache has besides."""
    found = engine.df()
    cache: Sequence[dict[str, Any]] = found.get("BuildCache") or ()
    return int(found["LayersSize"]) + sum(int(each["Size"]) for each in cache if not each["Shared"])
