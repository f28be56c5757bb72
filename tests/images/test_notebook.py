"""A notebook image: the server is its own, starts fast, and leaves the user's Python to the user."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from .containers import as_pod, published_address, require_output, running, wait_until_answer

if TYPE_CHECKING:
    import docker


PROGRAMS = Path(__file__).with_name("programs")
SERVER_PYTHON = "/opt/server/bin/python"
JUPYTERHUB = "6.1.1"
JUPYTERLAB = "4.6.6"
# Measured on 2 cores: 1.4 to 1.9 s, and 2.6 to 4.7 s beside builds; the limit is for a still busier machine.
FIRST_ANSWER_SECONDS = 20.0


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


def test_server_asks_nobody_on_the_internet(client: docker.DockerClient, notebook_image: str) -> None:
    """No news, no update check, no extension index: a lab behind a firewall waits for none of them."""
    answer = require_output(client, notebook_image, ["jupyter", "server", "--show-config-json"], **as_pod())
    assert json.loads(answer)["LabApp"] == {
        "news_url": None,
        "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "extension_manager": "readonly",
    }
