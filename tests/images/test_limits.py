"""Identity and weight of the images that end up in pods."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from .conftest import NOTEBOOKS, SERVERS
from .containers import require_output

if TYPE_CHECKING:
    import docker

    from kubelab_helpers.images.catalog import Image

# Measured 2026-11: hub 290 MB, proxy 191 MB, notebooks 675 to 736 MB, eight Pythons in one image 3006 MB. A larger one
# must say why.
LIMITS_BYTES = {"hub": 350_000_000, "proxy": 220_000_000, "notebook": 800_000_000}
FURTHER_PYTHON_BYTES = 350_000_000


def test_user_is_numeric_and_not_root(client: docker.DockerClient, server_image: str) -> None:
    """A pod with runAsNonRoot starts: the kubelet believes only a number."""
    group = "100" if "/notebook" in server_image else "1000"
    assert client.images.get(server_image).attrs["Config"]["User"] == f"1000:{group}"
    identity = require_output(client, server_image, ["sh", "-c", "echo $(id -u):$(id -g)"], read_only=True)
    assert identity == f"1000:{group}"


def test_nothing_gives_root_back(client: docker.DockerClient, server_image: str) -> None:
    """No file with capabilities or a set-id bit belongs to what our Dockerfiles add below /opt."""
    script = "find /opt -xdev '(' -perm -4000 -o -perm -2000 -o -perm -0002 ! -type l ')' -print"
    assert require_output(client, server_image, ["sh", "-c", script]) == ""


@pytest.mark.parametrize("image", SERVERS, ids=[image.name for image in SERVERS])
def test_image_is_below_its_limit(
    client: docker.DockerClient, require_image: Callable[[Image], str], image: Image
) -> None:
    """A laboratory's node pulls it over the same line as everything else."""
    further = max(len(image.joined) - 1, 0)
    limit = LIMITS_BYTES["notebook" if image.joined else image.repository] + further * FURTHER_PYTHON_BYTES
    assert client.images.get(require_image(image)).attrs["Size"] <= limit


def test_catalogue_offers_more_than_one_python() -> None:
    """What the notebook tests run over is not empty by accident."""
    assert {"3.11", "3.13"} <= set(NOTEBOOKS)
