"""The image catalogue: the real one is sound, and an unsound one is refused."""

from __future__ import annotations

import re
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubelab_helpers import resources
from kubelab_helpers.artifacts.catalog import load_catalog as load_artifacts
from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.images.catalog import Image, ImageCatalog, load_catalog

ENTRY = {"title": "an image", "folder": "hub", "tag": "{version}"}


@pytest.fixture(scope="module")
def real() -> ImageCatalog:
    return load_catalog()


def written(tmp_path: Path, images: dict[str, Any], pythons: dict[str, Any] | None = None) -> Path:
    some = {"3.13": {"end_of_life": "2029-10-31", "suite": "debian-trixie", "default": True}}
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump({"schema": 1, "pythons": some if pythons is None else pythons, "images": images}))
    return path


def dockerfile_of(image: Image) -> Path:
    return resources.path(f"images/{image.folder}") / ("Dockerfile.j2" if image.joined else "Dockerfile")


def test_real_images_have_a_dockerfile_and_known_bases(real: ImageCatalog) -> None:
    parts = load_artifacts()
    for image in real.images.values():
        assert dockerfile_of(image).is_file()
        assert [parts.get(name).kind for name in image.bases] == ["rootfs"] * len(image.bases)


def test_real_dockerfiles_declare_exactly_the_arguments_they_get(real: ImageCatalog) -> None:
    for image in real.images.values():
        text = dockerfile_of(image).read_text()
        declared = set(re.findall(r"^ARG (\w+)", text, re.MULTILINE))
        assert declared == {"BASE", *(name for name, _ in image.arguments)}, image.name


def test_every_image_of_a_python_has_that_pythons_lock(real: ImageCatalog) -> None:
    for image in real.images.values():
        if image.python:
            own = image.own_files.format(python=image.python.version)
            assert (resources.path(f"images/{image.folder}") / own).is_file()


def test_references_are_the_documented_ones(real: ImageCatalog) -> None:
    chart = yaml.safe_load(resources.path("charts/jupyterhub-multi/Chart.yaml").read_text())["appVersion"]
    names = {image.name: image.reference("localhost:5000/kubelab") for image in real.select()}
    assert names["hub"] == f"localhost:5000/kubelab/hub:{chart}"
    assert names["notebook-py3.11"] == f"localhost:5000/kubelab/notebook:{chart}-py3.11"
    assert names["notebook-py3.13"] == f"localhost:5000/kubelab/notebook:{chart}-py3.13"


def test_selection_by_image_family_and_python(real: ImageCatalog) -> None:
    def names(*asked: str, pythons: list[str] | None = None) -> list[str]:
        return [image.name for image in real.select(asked, pythons)]

    assert names("hub") == ["hub"]
    assert names("base-py3.11", pythons=["3.13"]) == ["system", "base-py3.11"]
    assert names("base", pythons=["3.13"]) == ["system", "base-py3.13"]
    assert names("base") == ["system", "base-py3.11", "base-py3.13"]
    assert names("notebook", pythons=["3.13"]) == ["system", "server", "base-py3.13", "notebook-py3.13"]
    every = {image.name for image in real.select(None, ["3.13"])}
    assert every == {"node", "proxy", "hub", *names("notebook", pythons=["3.13"]), "notebook-multi"}


def test_an_optional_image_is_there_for_who_names_it(real: ImageCatalog) -> None:
    variant = {image.name for image in real.select(["notebook-latex"], ["3.13"])}
    assert variant == {"system", "server", "server-latex", "base-py3.13", "notebook-latex-py3.13"}
    assert not any("latex" in image.name for image in real.select())


def test_notebooks_and_their_variant_carry_the_same_python(real: ImageCatalog) -> None:
    assert real.images["notebook-py3.11"].below == "server"
    assert real.images["notebook-latex-py3.11"].below == "server-latex"
    for name in ("notebook-py3.11", "notebook-latex-py3.11"):
        assert real.images[name].stands_on[1:] == ("base-py3.11",)


def test_an_image_of_several_pythons_brings_theirs_and_stands_on_the_newest(real: ImageCatalog) -> None:
    selected = real.select(["notebook-multi"], ["3.13", "3.8"])
    notebooks = [image.name for image in selected if image.repository.startswith("notebook")]
    assert notebooks == ["notebook-py3.8", "notebook-py3.13", "notebook-multi"]
    assert selected[-1].stands_on == ("notebook-py3.8", "notebook-py3.13")


def test_what_is_joined_must_be_one_image_per_python(tmp_path: Path) -> None:
    images = {"a": {**ENTRY, "base": "debian-trixie"}, "b": {**ENTRY, "joins": "a"}}
    with pytest.raises(InvalidInputError, match="b joins a, which is not one image per Python"):
        load_catalog(written(tmp_path, images), version="1")


def test_an_unknown_image_gets_the_nearest_name(real: ImageCatalog) -> None:
    with pytest.raises(InvalidInputError, match="there is no image notebok") as caught:
        real.select(["notebok"])
    assert "notebook" in caught.value.next_step


@pytest.mark.parametrize("version", ["2.7", "3.7"])
def test_a_python_without_an_image_is_refused_with_those_that_have_one(real: ImageCatalog, version: str) -> None:
    with pytest.raises(InvalidInputError, match=f"no image with Python {version}") as caught:
        real.select(["notebook"], [version])
    assert "3.11, 3.12, 3.13" in caught.value.next_step


def test_a_python_is_supported_through_its_last_day(real: ImageCatalog) -> None:
    for python in real.pythons.values():
        assert python.status(python.end_of_life) == "supported"
        assert python.status(python.end_of_life + timedelta(days=1)) == "end-of-life"
    assert real.pythons["3.8"].status(date(2024, 10, 8)) == "end-of-life"


def test_parents_come_first_and_are_selected_with_their_children(tmp_path: Path) -> None:
    images = {
        "leaf": {**ENTRY, "parent": "middle", "per_python": True, "tag": "{python}"},
        "middle": {**ENTRY, "parent": "root", "per_python": True, "tag": "{python}"},
        "root": {**ENTRY, "base": "debian-trixie"},
        "other": {**ENTRY, "base": "debian-trixie"},
    }
    catalog = load_catalog(written(tmp_path, images), version="1")
    assert [image.name for image in catalog.select(["leaf"])] == ["root", "middle-py3.13", "leaf-py3.13"]


def test_an_unknown_parent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="a stands on gone, which is not in the catalogue"):
        load_catalog(written(tmp_path, {"a": {**ENTRY, "parent": "gone"}}), version="1")


@pytest.mark.parametrize("names", [("a",), ("a", "b"), ("a", "b", "c")])
def test_a_circle_is_refused_and_shown(tmp_path: Path, names: tuple[str, ...]) -> None:
    parents = (*names[1:], names[0])
    images = {name: {**ENTRY, "parent": parent} for name, parent in zip(names, parents, strict=True)}
    with pytest.raises(InvalidInputError, match="stand on each other in a circle: ") as caught:
        load_catalog(written(tmp_path, images), version="1")
    circle = str(caught.value).rpartition(": ")[2].split(" -> ")
    assert circle[0] == circle[-1]
    assert set(pairwise(circle)) == set(zip(names, parents, strict=True))


def test_an_argument_that_names_an_unknown_image_is_refused(tmp_path: Path) -> None:
    images = {"a": {**ENTRY, "base": "debian-trixie", "arguments": {"OTHER": "image:gone"}}}
    with pytest.raises(InvalidInputError, match="a stands on gone, which is not in the catalogue"):
        load_catalog(written(tmp_path, images), version="1")


def test_an_argument_can_close_a_circle(tmp_path: Path) -> None:
    first = {**ENTRY, "base": "debian-trixie", "arguments": {"OTHER": "image:b"}}
    with pytest.raises(InvalidInputError, match="stand on each other in a circle: "):
        load_catalog(written(tmp_path, {"a": first, "b": {**ENTRY, "parent": "a"}}), version="1")


def test_a_circle_through_what_is_joined_is_refused_too(tmp_path: Path) -> None:
    images = {
        "family": {**ENTRY, "parent": "all", "per_python": True, "tag": "{python}"},
        "all": {**ENTRY, "joins": "family"},
    }
    with pytest.raises(InvalidInputError, match=r"in a circle: (all|family-py3.13) -> .* -> \1$"):
        load_catalog(written(tmp_path, images), version="1")


def test_a_catalogue_that_is_no_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text("schema: 1\nimages: {a: [}\n")
    with pytest.raises(InvalidInputError, match=r"catalog\.yaml:2: "):
        load_catalog(path, version="1")


def test_one_image_cannot_stand_on_a_family(tmp_path: Path) -> None:
    images = {
        "family": {**ENTRY, "base": "debian-trixie", "per_python": True, "tag": "{python}"},
        "one": {**ENTRY, "parent": "family"},
    }
    with pytest.raises(InvalidInputError, match="one stands on family, which is one image per Python"):
        load_catalog(written(tmp_path, images), version="1")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"base": "debian-trixie", "parent": "b"}, "a"),
        ({}, "a"),
        ({"base": "debian-trixie", "arguments": {"BASE": "mine"}}, "arguments"),
        ({"base": "debian-trixie", "colour": "red"}, "colour"),
    ],
)
def test_the_schema_refuses(tmp_path: Path, change: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidInputError, match=where):
        load_catalog(written(tmp_path, {"a": {**ENTRY, **change}}), version="1")


def test_an_image_without_a_python_cannot_name_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="a uses a placeholder that it does not have: 'python'"):
        load_catalog(written(tmp_path, {"a": {**ENTRY, "base": "debian-trixie", "tag": "{python}"}}), version="1")


def test_a_default_python_must_have_an_image(tmp_path: Path) -> None:
    pythons = {"3.13": {"end_of_life": "2029-10-31", "default": True}}
    with pytest.raises(InvalidInputError, match=r"'default': True.* is not valid"):
        load_catalog(written(tmp_path, {}, pythons), version="1")


def test_a_python_comes_from_one_place(tmp_path: Path) -> None:
    both = {"3.13": {"end_of_life": "2029-10-31", "suite": "debian-trixie", "installation": "python-3.13"}}
    with pytest.raises(InvalidInputError, match="should not be valid"):
        load_catalog(written(tmp_path, {}, both), version="1")
