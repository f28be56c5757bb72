# ruff: noqa: D102  the double has the methods of what it stands for
"""Which images go: those of kubelab that nothing needs any more, by name and labels, and no one else's."""

from __future__ import annotations

import builtins
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubelab_helpers.artifacts.source import IMAGE_PREFIX, Store
from kubelab_helpers.images.base import base_reference
from kubelab_helpers.images.build import INPUT_LABEL, input_hashes
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.images.pruning import PrunePlan, plan_prune, prune
from kubelab_helpers.result import SilentReporter

CATALOG, STORE = load_catalog(), Store()
DIGEST = "sha256:" + "d" * 64
OUTDATED = "of other inputs than today's"


class Engine:
    """Has images with names and labels; `used` are the names of those that containers were made from."""

    def __init__(self, *images: Any, used: tuple[str, ...] = (), refuses: str = "") -> None:
        self.known, self.used, self.refuses = list(images), used, refuses
        self.images = self.api = self
        self.cache = 0

    def list(self) -> list[Any]:
        return self.known

    def containers(self, all: bool) -> builtins.list[dict[str, str]]:  # noqa: A002  docker's name
        assert all
        return [{"ImageID": image.id} for image in self.known if set(image.tags) & set(self.used)]

    def df(self) -> dict[str, Any]:
        images = [{"Id": image.id, "Size": 100, "SharedSize": 60} for image in self.known]
        cache = [{"Size": self.cache, "Shared": False}, {"Size": 7_000, "Shared": True}]
        return {"Images": images, "LayersSize": 40 * len(self.known), "BuildCache": cache}

    def remove(self, name: str, *, noprune: bool) -> None:
        from docker.errors import APIError

        assert noprune
        if name == self.refuses:
            raise APIError("conflict", response=cast("Any", SimpleNamespace(status_code=409)))
        self.known = [image for image in self.known if name not in image.tags + image.attrs["RepoDigests"]]
        self.cache += 10


def image(name: str = "", labels: dict[str, str] | None = None, digests: tuple[str, ...] = ()) -> Any:
    tags = [name] if name else []
    attrs = {"RepoDigests": list(digests)}
    return SimpleNamespace(id=f"id of {name or digests}", tags=tags, labels=labels or {}, attrs=attrs)


def built(name: str, **more: Any) -> Any:
    """Return an image of the catalogue as today's inputs give it; `more` are labels that differ."""
    entry = CATALOG.images[name]
    hashes = input_hashes(CATALOG.select([name]), STORE)
    labels = {INPUT_LABEL: hashes[name], "org.opencontainers.image.version": entry.tag, **more}
    return image(entry.reference(IMAGE_PREFIX), labels)


def labelled(repository: str, tag: str) -> Any:
    return image(f"{repository}:{tag}", {INPUT_LABEL: "old", "org.opencontainers.image.version": tag})


def plan(engine: Engine) -> PrunePlan:
    return plan_prune(cast("Any", engine), CATALOG, STORE)


def reasons(engine: Engine) -> dict[str, str]:
    return {each.name: each.reason for each in plan(engine).stale}


def test_what_is_as_todays_inputs_give_it_stays() -> None:
    base = base_reference("debian-trixie", STORE.catalog.key("debian-trixie"))
    own_registry = f"localhost/kubelab/registry:{STORE.catalog.key('image-registry')}"
    part = f"{IMAGE_PREFIX}/{STORE.catalog.get('image-registry').image_name}"
    assert reasons(Engine(built("hub"), built("proxy"), image(base), image(own_registry), image(part))) == {}


def test_what_was_built_from_other_inputs_goes() -> None:
    old_base, old_registry = base_reference("debian-trixie", "0" * 24), "localhost/kubelab/registry:0"
    hub = built("hub", **{INPUT_LABEL: "old"})
    assert reasons(Engine(hub, image(old_base), image(old_registry))) == {
        hub.tags[0]: OUTDATED,
        old_base: OUTDATED,
        old_registry: OUTDATED,
    }


def test_what_the_catalogues_no_longer_have_goes() -> None:
    old_part = f"{IMAGE_PREFIX}/local-path-provisioner:v0.0.1"
    gone = [labelled(f"{IMAGE_PREFIX}/notebook", "0.0.1-py3.7"), image(old_part), image(base_reference("woody", "1"))]
    assert set(reasons(Engine(*gone)).values()) == {"not in the catalogue"}
    assert len(reasons(Engine(*gone))) == 3


def test_a_build_that_lost_its_tag_to_a_newer_one_goes_by_its_digest() -> None:
    replaced = image(labels={INPUT_LABEL: "old"}, digests=(f"{IMAGE_PREFIX}/hub@{DIGEST}",))
    assert reasons(Engine(replaced)) == {f"{IMAGE_PREFIX}/hub@{DIGEST}": "replaced by a newer build"}


@pytest.mark.parametrize(("pythons", "stays"), [("3.11 3.13", True), ("3.11 3.99", False), ("3.11", False)])
def test_an_image_of_several_pythons_is_judged_by_those_it_has(pythons: str, stays: bool) -> None:
    multi = built("notebook-multi", **{"io.kubelab.python": pythons})
    assert (reasons(Engine(multi)) == {}) is stays


@pytest.mark.parametrize(
    "other",
    [
        image("python:3.11-slim"),
        image("registry.example/kubelab/hub:0.0.1", {INPUT_LABEL: "old"}),
        # Built on an image of kubelab, whose labels it has; under the lab's prefix, by another name or tag.
        labelled("localhost/kubelab-tests/ssh", "0.1.0"),
        labelled(f"{IMAGE_PREFIX}/my-notebook", "0.1.0-py3.11"),
        image(
            f"{IMAGE_PREFIX}/notebook:mine", {INPUT_LABEL: "old", "org.opencontainers.image.version": "0.1.0-py3.11"}
        ),
        image(f"{IMAGE_PREFIX}/notebook:0.0.1-py3.7"),
        image(digests=(f"{IMAGE_PREFIX}/hub@{DIGEST}",)),
        image(labels={INPUT_LABEL: "old"}),
    ],
    ids=str,
)
def test_what_is_not_certainly_kubelabs_stays(other: Any) -> None:
    assert reasons(Engine(other)) == {}


def test_what_has_kubelabs_labels_and_no_name_is_counted() -> None:
    assert plan(Engine(image(labels={INPUT_LABEL: "old"}), image())).nameless == 1


def test_what_a_container_was_made_from_stays_and_is_told() -> None:
    hub, old = built("hub", **{INPUT_LABEL: "old"}), labelled(f"{IMAGE_PREFIX}/notebook", "0.0.1-py3.7")
    engine = Engine(hub, old, used=(hub.tags[0],))
    found = plan(engine)
    assert [each.name for each in found.in_use] == [hub.tags[0]]
    done = prune(cast("Any", engine), found, SilentReporter())
    assert [each.name for each in done.removed] == [old.tags[0]]
    assert engine.known == [hub]


def test_what_came_into_use_since_stays() -> None:
    hub = built("hub", **{INPUT_LABEL: "old"})
    engine = Engine(hub, refuses=hub.tags[0])
    done = prune(cast("Any", engine), plan(engine), SilentReporter())
    assert (done.removed, [each.name for each in done.in_use]) == ((), [hub.tags[0]])


def test_the_bytes_are_measured_and_what_the_build_cache_keeps_is_not_counted() -> None:
    engine = Engine(*(labelled(f"{IMAGE_PREFIX}/notebook", f"0.0.{patch}") for patch in (1, 2)))
    found = plan(engine)
    assert [each.unique_bytes for each in found.stale] == [40, 40]
    done = prune(cast("Any", engine), found, SilentReporter())
    assert (done.layers_bytes, done.freed_bytes) == (80, 60)
