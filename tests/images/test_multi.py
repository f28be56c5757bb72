"""The image in which every Python is a kernel of one server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import NOTEBOOKS
from .containers import as_pod, require_output

if TYPE_CHECKING:
    import docker

PROGRAM = (Path(__file__).parent / "programs/execute_in_kernel.py").read_text()
SERVER_PYTHON = "/opt/server/bin/python"
NEWEST = list(NOTEBOOKS)[-1]
CODE = "import json, sys, numpy, pandas; print(json.dumps([list(sys.version_info[:2]), sys.prefix, numpy.__file__]))"


def kernel_of(version: str) -> str:
    return "python3" if version == NEWEST else f"python{version}"


@pytest.mark.parametrize("version", NOTEBOOKS)
def test_a_cell_runs_in_every_python_with_its_own_packages(
    client: docker.DockerClient, multi_image: str, version: str
) -> None:
    argv = [SERVER_PYTHON, "-c", PROGRAM, kernel_of(version), CODE]
    numbers, prefix, numpy = json.loads(require_output(client, multi_image, argv, **as_pod()))
    assert ".".join(map(str, numbers)) == version
    assert prefix == f"/opt/python/{version}"
    assert numpy.startswith(f"/opt/python/{version}/lib/python{version}/site-packages/")


def test_the_launcher_shows_each_python_once(client: docker.DockerClient, multi_image: str) -> None:
    answer = require_output(client, multi_image, ["jupyter", "kernelspec", "list", "--json"], **as_pod())
    shown = {name: kernel["spec"]["display_name"] for name, kernel in json.loads(answer)["kernelspecs"].items()}
    assert shown == {kernel_of(version): f"Python {version}" for version in NOTEBOOKS}


def test_a_terminal_has_the_newest_python(client: docker.DockerClient, multi_image: str) -> None:
    """As the server's own PATH; and the others by their versions."""
    for shell in (["sh", "-c"], ["bash", "-lc"]):
        argv = [*shell, "python -c 'import sys; print(sys.prefix)'"]
        assert require_output(client, multi_image, argv, **as_pod()) == f"/opt/python/{NEWEST}"
    told = json.loads(require_output(client, multi_image, ["python-info", "--json"], **as_pod()))
    assert told["pythons"] == list(NOTEBOOKS)
