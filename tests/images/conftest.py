"""The images under test: those of the catalogue, as this machine's Docker has them. A missing one is a failure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import docker
import pytest

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.images.catalog import Image, load_catalog

CATALOG = load_catalog()
ALL_PYTHONS = [each.version for each in CATALOG.pythons.values() if each.origin]
PYTHONS = ALL_PYTHONS if os.environ.get("KUBELAB_TEST_ALL_PYTHONS") else None
"""Those of a lab that names none, unless the whole matrix is asked for."""
NOTEBOOKS = {image.python.version: image for image in CATALOG.named(["notebook"], PYTHONS) if image.python}
WITH_PYTHON = [image for image in CATALOG.select(["notebook"], PYTHONS) if image.python]
MULTI = CATALOG.select(["notebook-multi"], PYTHONS)[-1]
SERVERS = [*CATALOG.select(["hub", "proxy"]), *WITH_PYTHON, MULTI]


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """A connection to this machine's Docker."""
    connection = docker.from_env(timeout=180)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def require_image(client: docker.DockerClient) -> Callable[[Image], str]:
    """Return the function that gives an image's reference, and fails with the command to build it if it is absent."""

    def require(image: Image) -> str:
        reference = image.reference(os.environ.get("KUBELAB_TEST_REGISTRY", IMAGE_PREFIX))
        if not client.images.list(name=reference):
            pytest.fail(f"{reference} is not here: run `kubelab image build {image.name}`", pytrace=False)
        return reference

    return require


@pytest.fixture(scope="session")
def hub_image(require_image: Callable[[Image], str]) -> str:
    """The hub's reference."""
    return require_image(CATALOG.images["hub"])


@pytest.fixture(scope="session")
def proxy_image(require_image: Callable[[Image], str]) -> str:
    """The proxy's reference."""
    return require_image(CATALOG.images["proxy"])


@pytest.fixture(scope="session", params=NOTEBOOKS.values(), ids=list(NOTEBOOKS))
def notebook_image(request: pytest.FixtureRequest, require_image: Callable[[Image], str]) -> str:
    """Each notebook's reference, one after the other."""
    return require_image(request.param)


@pytest.fixture(scope="session", params=WITH_PYTHON, ids=[image.name for image in WITH_PYTHON])
def image_with_python(request: pytest.FixtureRequest) -> Image:
    """Each base image and each notebook, which inherits what is asked of its base."""
    found: Image = request.param
    return found


@pytest.fixture(scope="session")
def python_image(image_with_python: Image, require_image: Callable[[Image], str]) -> str:
    """The reference of each image with one Python."""
    return require_image(image_with_python)


@pytest.fixture(scope="session")
def image_python(image_with_python: Image) -> str:
    """The version of Python of the image under test."""
    assert image_with_python.python is not None
    return image_with_python.python.version


@pytest.fixture(scope="session")
def python_version(request: pytest.FixtureRequest, notebook_image: str) -> str:
    """The version of Python that the notebook image under test was asked for, such as `3.11`."""
    return str(notebook_image.rpartition("-py")[2])
