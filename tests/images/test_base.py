"""What every Python brings, asked of its base image and of all that is built from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .conftest import CATALOG
from .containers import as_pod, require_output, run_program

if TYPE_CHECKING:
    import docker

LIMIT_BYTES = 256 * 2**20
TOOLS = """
set -eu
cd "$HOME"
mkdir probe
printf 'import os\\n\\n\\ndef double(number: int) -> int:\\n    return number * "2"\\n' > probe/doubling.py
printf 'from doubling import double\\n\\n\\ndef test_double():\\n    assert double(2) == "22"\\n' \\
  > probe/test_doubling.py
cd probe
pytest -q -p no:cacheprovider . >&2
black --check --quiet . && echo black
mypy --cache-dir=/tmp/mypy doubling.py | grep -q 'Incompatible return value type' && echo mypy
flake8 doubling.py | grep -q 'F401 .os. imported but unused' && echo flake8
ruff check --no-cache --output-format concise doubling.py | grep -q 'F401' && echo ruff
"""
CLIENTS = """
set -eu
sqlite3 :memory: 'select 6 * 7'
mariadb --version | grep -o MariaDB | head -1
psql --version | grep -o PostgreSQL
psql --host 127.0.0.1 --port 1 2>&1 | grep -o 'Connection refused' | head -1
python -c 'import psycopg, pymysql; print(psycopg.pq.version() > 150000)'
"""
GIT = """
set -eu
cd "$HOME"
git init --quiet work && cd work
git -c user.name=Probe -c user.email=probe@example.org commit --quiet --allow-empty --message first
git log --format=%s
"""
COMPUTE = """
import json, numpy, pandas, scipy.linalg, scipy.optimize, scipy.stats, matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plot
plot.plot([1, 2]); plot.savefig("/tmp/figure.png")
root = scipy.optimize.brentq(lambda x: x * x - 2, 0, 2)
frame = pandas.DataFrame({"a": [1, 2, 3]})
figure = open("/tmp/figure.png", "rb").read(4)[1:].decode()
print(json.dumps([round(root, 6), float(scipy.linalg.det(numpy.eye(3))), int(frame.a.sum()), figure]))
"""


def test_the_scientific_packages_compute(client: docker.DockerClient, python_image: str) -> None:
    """With the libraries that they were built with, whose symbols the image's build took out."""
    answer = require_output(client, python_image, ["python", "-c", COMPUTE], **as_pod())
    assert json.loads(answer) == [1.414214, 1.0, 6, "PNG"]


def test_the_tools_find_what_they_are_for(client: docker.DockerClient, python_image: str) -> None:
    """A test passes, a wrong type and an unused import are found, in an image that cannot be written."""
    answer = require_output(client, python_image, ["sh", "-c", TOOLS], **as_pod())
    assert answer.split() == ["black", "mypy", "flake8", "ruff"]


def test_the_database_clients_are_there(client: docker.DockerClient, python_image: str) -> None:
    """SQLite answers; the others load their libraries and say that nobody listens."""
    answer = require_output(client, python_image, ["sh", "-c", CLIENTS], **as_pod())
    assert answer.split("\n") == ["42", "MariaDB", "PostgreSQL", "Connection refused", "True"]


def test_git_keeps_a_history(client: docker.DockerClient, python_image: str) -> None:
    assert require_output(client, python_image, ["sh", "-c", GIT], **as_pod()) == "first"


def test_python_info_tells_python_packages_and_limits(
    client: docker.DockerClient, python_image: str, image_python: str
) -> None:
    """As the catalogue has them, and as the kernel enforces them."""
    options = {**as_pod(), "mem_limit": LIMIT_BYTES, "cpu_period": 100_000, "cpu_quota": 50_000}
    told = json.loads(require_output(client, python_image, ["python-info", "--json"], **options))
    catalogued = CATALOG.pythons[image_python]
    assert told["python"]["version"].startswith(f"{image_python}.")
    assert told["python"]["end_of_life"] == catalogued.end_of_life.isoformat()
    assert told["python"]["origin"] == catalogued.origin
    assert told["pythons"] == [image_python]
    assert {"numpy", "scipy", "pandas", "matplotlib", "pytest", "mypy"} <= set(told["packages"])
    assert told["memory"]["limit_bytes"] == LIMIT_BYTES
    assert told["cpu"]["limit"] == 0.5
    assert told["home"]["path"] == "/home/jovyan"


def test_the_health_check_passes(client: docker.DockerClient, python_image: str) -> None:
    require_output(client, python_image, ["python-info", "--check"], **as_pod())


@pytest.mark.parametrize("arguments", [["--jsno"], ["--json", "--check"]])
def test_python_info_refuses_what_it_does_not_know(
    client: docker.DockerClient, python_image: str, arguments: list[str]
) -> None:
    run = run_program(client, python_image, ["python-info", *arguments], **as_pod())
    assert run.status == 2
    assert "usage: python-info" in run.errors
