"""Every check of `kubelab image test`, asked of each image that ends up in a pod."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import pytest

from kubelab_helpers.images.acceptance import Check, checks_of, run_check
from kubelab_helpers.images.checks import Subject

from .conftest import CATALOG, NOTEBOOKS, SERVERS

if TYPE_CHECKING:
    import docker

    from kubelab_helpers.images.catalog import Image

CASES = [(image, check) for image in SERVERS for check in checks_of(CATALOG, image)]


@pytest.fixture(scope="session")
def subject_of(client: docker.DockerClient, require_image: Callable[[Image], str]) -> Callable[[Image], Subject]:
    """Return the function that gives an image under test, the same each time: its files are read once."""

    @cache
    def find(image: Image) -> Subject:
        return Subject(client, image, client.images.get(require_image(image)))

    return find


@pytest.mark.parametrize(("image", "check"), CASES, ids=[f"{image.name}-{check.name}" for image, check in CASES])
def test_image_is_as_it_must_be(subject_of: Callable[[Image], Subject], image: Image, check: Check) -> None:
    result = run_check(check, subject_of(image))
    assert result.problem == "", check.meaning


def test_catalogue_offers_more_than_one_python() -> None:
    """What the notebook tests run over is not empty by accident."""
    assert {"3.11", "3.13"} <= set(NOTEBOOKS)


def test_server_environment_is_one_layer_for_all(subject_of: Callable[[Image], Subject]) -> None:
    """A node that has one notebook image pulls only the Python of the next one."""
    layers = [subject_of(image).built.attrs["RootFS"]["Layers"] for image in NOTEBOOKS.values()]
    shared = set(layers[0]).intersection(*layers[1:])
    # Base, packages, user, login profile and the server environment.
    assert len(shared) >= 5
