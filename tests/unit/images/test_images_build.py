# ruff: noqa: D102  the double has the methods of what it stands for
"""Which images are built: those whose inputs changed, and no other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubelab_helpers.artifacts.source import IMAGE_PREFIX, Store
from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.images import build as building
from kubelab_helpers.images.build import INPUT_LABEL, build, input_hashes
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.result import SilentReporter

ENTRY = {"title": "an image", "tag": "{version}"}


class Engine:
    """Has images by reference, each with the input hash that made it."""

    def __init__(self, hashes: dict[str, str]) -> None:
        self.hashes, self.images = hashes, self

    def get(self, reference: str) -> Any:
        from docker.errors import ImageNotFound

        if reference not in self.hashes:
            raise ImageNotFound(reference)
        labels = {INPUT_LABEL: self.hashes[reference]}
        return SimpleNamespace(id=f"sha256:{reference}", labels=labels, attrs={"Size": 7}, tags=[reference])


@pytest.fixture
def whole() -> Engine:
    """Return an engine that has every image that a lab has by default as it should be."""
    selected = load_catalog().select()
    hashes = input_hashes(selected, Store())
    return Engine({image.reference(IMAGE_PREFIX): hashes[image.name] for image in selected})


@pytest.fixture(autouse=True)
def no_builder(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Any:
        raise BlockedError("a build was wanted")

    monkeypatch.setattr(building, "find_build_client", refuse)


def run(engine: Engine, *names: str, **more: Any) -> list[building.BuiltImage]:
    return build(names or None, engine=cast("Any", engine), reporter=SilentReporter(), **more)


def test_unchanged_images_are_found_and_not_built(whole: Engine) -> None:
    found = run(whole)
    assert [image.name for image in found] == [image.name for image in load_catalog().select()]
    assert not any(image.changed for image in found)
    assert {image.size_bytes for image in found} == {7}
    assert [image.input_hash for image in found] == [whole.hashes[image.reference] for image in found]


def test_an_image_of_several_pythons_is_another_with_other_pythons(whole: Engine) -> None:
    assert not run(whole, "notebook-multi")[-1].changed
    with pytest.raises(BlockedError, match="a build was wanted"):
        run(whole, "notebook-multi", pythons=["3.13"])


@pytest.mark.parametrize("missing", [True, False])
def test_a_missing_or_outdated_image_is_built(whole: Engine, missing: bool) -> None:
    reference = load_catalog().images["hub"].reference(IMAGE_PREFIX)
    if missing:
        del whole.hashes[reference]
    else:
        whole.hashes[reference] = "of other inputs"
    assert not run(whole, "proxy")[0].changed
    with pytest.raises(BlockedError, match="a build was wanted"):
        run(whole, "hub")


def test_another_registry_has_its_own_images(whole: Engine) -> None:
    with pytest.raises(BlockedError, match="a build was wanted"):
        run(whole, "hub", registry="registry.example/lab")


def test_a_wrong_name_is_refused_before_anything_is_done(whole: Engine) -> None:
    with pytest.raises(InvalidInputError, match="there is no image hup"):
        run(whole, "hup")


def test_a_parents_change_reaches_its_children_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    images = {
        "root": {**ENTRY, "folder": "root", "base": "debian-trixie"},
        "leaf": {**ENTRY, "folder": "leaf", "parent": "root"},
        "other": {**ENTRY, "folder": "other", "base": "debian-trixie"},
    }
    for name in images:
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text("FROM x\n")
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump({"schema": 1, "pythons": {}, "images": images}))
    monkeypatch.setattr(building, "image_folder", lambda image: tmp_path / image.folder)
    catalog, store = load_catalog(path, "1"), Store()
    before = input_hashes(list(catalog.images.values()), store)
    (tmp_path / "root" / "Dockerfile").write_text("FROM y\n")
    after = input_hashes(list(catalog.images.values()), store)
    assert {name for name in images if before[name] != after[name]} == {"root", "leaf"}
