"""A notebook image: the asked Python is the user's, the server is its own, and both work in a locked-down pod."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from .conftest import NOTEBOOKS
from .containers import as_pod, published_address, require_output, running, wait_until_answer

if TYPE_CHECKING:
    import docker

    from kubelab_helpers.images.catalog import Image

PROGRAMS = Path(__file__).with_name("programs")
SERVER_PYTHON = "/opt/server/bin/python"
JUPYTERHUB = "6.1.1"
JUPYTERLAB = "4.6.6"
# Measured on 2 cores: 1.4 to 1.9 s, and 2.6 to 4.7 s beside builds; the limit is for a still busier machine.
FIRST_ANSWER_SECONDS = 20.0
IMPORTS = (
    "ssl, sqlite3, ctypes, lzma, bz2, readline, zlib, hashlib, curses, uuid, decimal, numpy, pandas, matplotlib.pyplot"
)


def test_python_is_the_asked_one_in_every_kind_of_shell(
    client: docker.DockerClient, notebook_image: str, python_version: str
) -> None:
    """`python` and `pip` are the user's, also in a login shell, which is what a terminal of JupyterLab is."""
    question = "python -c 'import sys; print(sys.prefix)'; command -v python3; command -v pip"
    prefix = f"/opt/python/{python_version}"
    expected = [prefix, f"{prefix}/bin/python3", f"{prefix}/bin/pip"]
    for shell in (["sh", "-c"], ["bash", "-lc"]):
        assert require_output(client, notebook_image, [*shell, question], **as_pod()).split() == expected


def test_kernel_runs_the_asked_python(client: docker.DockerClient, notebook_image: str, python_version: str) -> None:
    """The kernel `python3` executes code, in a container with a read-only root, as user 1000."""
    code = (
        f"import sys, os, json, {IMPORTS}; print(json.dumps([list(sys.version_info[:2]), os.getuid(), sys.executable]))"
    )
    program = (PROGRAMS / "execute_in_kernel.py").read_text()
    answer = require_output(client, notebook_image, [SERVER_PYTHON, "-c", program, "python3", code], **as_pod())
    major, minor = map(int, python_version.split("."))
    assert json.loads(answer) == [[major, minor], 1000, f"/opt/python/{python_version}/bin/python{python_version}"]


def test_kernelspec_is_the_only_one(client: docker.DockerClient, notebook_image: str, python_version: str) -> None:
    """The launcher shows one Python, by its version; the server's own is no kernel."""
    answer = require_output(client, notebook_image, ["jupyter", "kernelspec", "list", "--json"], **as_pod())
    names = {name: kernel["spec"]["display_name"] for name, kernel in json.loads(answer)["kernelspecs"].items()}
    assert names == {"python3": f"Python {python_version}"}


def test_image_has_a_kernelspec_that_a_home_cannot_replace(
    client: docker.DockerClient, notebook_image: str, python_version: str
) -> None:
    """A kernelspec that another Python left in the home does not shadow the image's `python3`."""
    argv = ["sh", "-c", "python -m ipykernel install --user --name python3 >&2; jupyter kernelspec list --json"]
    answer = json.loads(require_output(client, notebook_image, argv, **as_pod()))
    assert answer["kernelspecs"]["python3"]["resource_dir"] == "/opt/server/share/jupyter/kernels/python3"


def test_server_has_the_pinned_versions(client: docker.DockerClient, notebook_image: str) -> None:
    """JupyterLab and JupyterHub come from the server environment, in the versions that the hub expects."""
    question = "import jupyterlab, jupyterhub, sys; print(jupyterlab.__version__, jupyterhub.__version__, sys.prefix)"
    answer = require_output(client, notebook_image, [SERVER_PYTHON, "-c", question], **as_pod())
    assert answer.split() == [JUPYTERLAB, JUPYTERHUB, "/opt/server"]


def test_user_installs_into_the_home(client: docker.DockerClient, notebook_image: str, python_version: str) -> None:
    """`pip install` works with a read-only root, and the server never sees what it brought."""
    program = (PROGRAMS / "install_wheel.py").read_text()
    answer = require_output(client, notebook_image, ["python", "-c", program], **as_pod())
    assert answer == f"/home/jovyan/.local/lib/python{python_version}/site-packages/probe.py"


def test_virtual_environment_is_of_the_asked_python(
    client: docker.DockerClient, notebook_image: str, python_version: str
) -> None:
    """`python -m venv` makes an environment with its own pip, outside the image's packages."""
    script = "python -m venv ~/env >&2 && ~/env/bin/python -m pip --version && ! ~/env/bin/python -c 'import numpy'"
    options = as_pod()
    answer = require_output(client, notebook_image, ["sh", "-c", script], **options)
    assert f"/home/jovyan/env/lib/python{python_version}/site-packages/pip" in answer


def test_server_answers(
    client: docker.DockerClient, notebook_image: str, record_property: Callable[[str, object], None]
) -> None:
    """The image's own command serves JupyterLab below the user's prefix, with a hub that answers its first question."""
    hub = [SERVER_PYTHON, "-c", (PROGRAMS / "stand_in_hub.py").read_text(), "8081", JUPYTERHUB]
    with running(client, notebook_image, hub, ports={"8888/tcp": ("127.0.0.1", None)}) as stand_in:
        address = f"{published_address(stand_in, 8888)}/user/probe"
        environment = {
            "JUPYTERHUB_API_TOKEN": "made-up",
            "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api",
            "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-probe",
            "JUPYTERHUB_SERVICE_PREFIX": "/user/probe/",
            "JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:8888/user/probe/",
            "JUPYTERHUB_USER": "probe",
        }
        options = {**as_pod(), "network_mode": f"container:{stand_in.id}", "environment": environment}
        begin = time.monotonic()
        with running(client, notebook_image, **options) as server:
            version = wait_until_answer(server, f"{address}/api").json()
            seconds = time.monotonic() - begin
            record_property("first_answer_seconds", round(seconds, 2))
            login = requests.get(f"{address}/lab", timeout=10, allow_redirects=False)
    assert "version" in version
    assert login.status_code == 302
    assert "/hub/api/oauth2/authorize" in login.headers["Location"]
    assert seconds < FIRST_ANSWER_SECONDS


def test_server_environment_is_one_layer_for_all(
    client: docker.DockerClient, require_image: Callable[[Image], str]
) -> None:
    """A node that has one notebook image pulls only the Python of the next one."""
    layers = [client.images.get(require_image(image)).attrs["RootFS"]["Layers"] for image in NOTEBOOKS.values()]
    shared = set(layers[0]).intersection(*layers[1:])
    sizes = {tuple(sorted(shared & set(each))) for each in layers}
    assert len(sizes) == 1
    # Base, packages, user, login profile and the server environment.
    assert len(shared) >= 5


def test_server_asks_nobody_on_the_internet(client: docker.DockerClient, notebook_image: str) -> None:
    """No news, no update check, no extension index: a lab behind a firewall waits for none of them."""
    answer = require_output(client, notebook_image, ["jupyter", "server", "--show-config-json"], **as_pod())
    assert json.loads(answer)["LabApp"] == {
        "news_url": None,
        "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "extension_manager": "readonly",
    }
