"""What the tests on hosts share: the image of a host on which kubelab is installed, and the machine's parts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kubelab_helpers.artifacts import cache
from kubelab_helpers.cluster import engine
from kubelab_helpers.images.build import build
from kubelab_helpers.result import SilentReporter

from .machines import node_image
from .wheels import download_wheels

PYTHON_IMAGE = "kubelab-tests/host-python:latest"
IMAGES = Path(__file__).resolve().parent / "images"
CACHE = "/opt/kubelab-cache/kubelab/artifacts"


@pytest.fixture(scope="session", autouse=True)
def engine_with_node_image() -> None:
    """Start the engine and build the image that hosts are made from, as `kubelab up` does: no lab needs to be there."""
    engine.ensure_running()
    build(["node"], reporter=SilentReporter())


@pytest.fixture(scope="session")
def python_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the image of a host with Python on which this tree's wheel is installed."""
    return build_python_image(tmp_path_factory.mktemp("host-python"))


def build_python_image(context: Path) -> str:
    """Build that image from a folder of its own, and return its name."""
    shutil.copy(IMAGES / "python" / "Dockerfile", context)
    download_wheels(context / "wheels")
    command = ["docker", "build", "--quiet", "--build-arg", f"BASE={node_image()}", "--tag", PYTHON_IMAGE, str(context)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    # The image of the run before has lost its name, and nobody else would remove it.
    prune = ["docker", "image", "prune", "--force", "--filter", "label=io.kubelab.tests=host-python"]
    subprocess.run(prune, check=True, capture_output=True, timeout=120)
    return PYTHON_IMAGE


@pytest.fixture(scope="session")
def parts_mount() -> tuple[str, str]:
    """Return the mount that gives a host this machine's cache of parts, so that nothing is fetched twice."""
    return str(cache.root()), CACHE
