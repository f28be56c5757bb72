"""JupyterLab in a notebook image: extensions, language server, welcome, and working together as a switch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
import websocket

from .containers import as_pod, published_address, require_output, running, wait_until_answer

if TYPE_CHECKING:
    import docker

TOKEN = "made-up"
HEADERS = {"Authorization": f"token {TOKEN}"}
COMMAND = ("jupyter", "lab", "--no-browser", "--ip=0.0.0.0", f"--IdentityProvider.token={TOKEN}")
COLLABORATION = {"JUPYTER_CONFIG_PATH": "/opt/server/share/kubelab/collaboration"}
TOGETHER = {"@jupyter/collaboration-extension", "@jupyter/docprovider-extension"}
LIMIT_BYTES = 1 << 30
# The image's entry point has welcomed already when this begins.
WELCOME = """
set -eu
ls; echo "${JUPYTERHUB_DEFAULT_URL:-unset}"
rm Welcome.ipynb; unset JUPYTERHUB_DEFAULT_URL
start-server sh -c 'ls; echo "${JUPYTERHUB_DEFAULT_URL:-unset}"'
"""


@contextmanager
def lab(client: docker.DockerClient, reference: str, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Hold a JupyterLab that asks for a token; give its address."""
    options = {**as_pod(), "environment": dict(environment or {}), "mem_limit": LIMIT_BYTES}
    with running(client, reference, COMMAND, ports={"8888/tcp": ("127.0.0.1", None)}, **options) as container:
        address = published_address(container, 8888)
        wait_until_answer(container, f"{address}/api", HEADERS)
        yield address


def ask(address: str, path: str) -> Any:
    answer = requests.get(f"{address}{path}", headers=HEADERS, timeout=30)
    assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:200]}"
    return answer.json()


def page_config(address: str) -> dict[str, Any]:
    """Return what the server tells the page of JupyterLab: its extensions, and which of them are off."""
    page = requests.get(f"{address}/lab", headers=HEADERS, timeout=30).text
    found = re.search(r'<script id="jupyter-config-data" type="application/json">(.+?)</script>', page, re.DOTALL)
    assert found, page[:500]
    config: dict[str, Any] = json.loads(found[1])
    return config


def complete(address: str, text: str) -> set[str]:
    """Ask the language server what may follow a text, as the editor does; return the first words of its answers."""
    url = address.replace("http:", "ws:") + "/lsp/ws/pylsp"
    socket = websocket.create_connection(
        url, header=[f"{name}: {value}" for name, value in HEADERS.items()], timeout=60
    )
    document = {"uri": "file:///home/jovyan/probe.py"}

    def send(method: str, parameters: dict[str, Any], number: int | None = None) -> None:
        told = {"jsonrpc": "2.0", "method": method, "params": parameters}
        socket.send(json.dumps(told if number is None else {**told, "id": number}))

    def answer(number: int) -> Any:
        while True:
            told = json.loads(socket.recv())
            if told.get("id") == number and "method" not in told:
                return told["result"]

    try:
        send("initialize", {"processId": None, "rootUri": None, "capabilities": {}}, 1)
        assert answer(1)["capabilities"]["completionProvider"]
        send("initialized", {})
        send("textDocument/didOpen", {"textDocument": {**document, "languageId": "python", "version": 1, "text": text}})
        send("textDocument/completion", {"textDocument": document, "position": {"line": 0, "character": len(text)}}, 2)
        return {item["label"].partition("(")[0] for item in answer(2)["items"]}
    finally:
        socket.close()


def test_extensions_are_there_and_working_together_is_off(client: docker.DockerClient, notebook_image: str) -> None:
    """Git, the language server, resource usage and the widgets of the user's own packages."""
    with lab(client, notebook_image) as address:
        config = page_config(address)
        usage = ask(address, "/api/metrics/v1")
        languages = ask(address, "/lsp/status")
        settings = ask(address, "/git/settings")
        together = requests.put(f"{address}/api/collaboration/session/x", headers=HEADERS, timeout=10)
    names = {each["name"] for each in config["federated_extensions"]}
    expected = {
        "@jupyterlab/git",
        "@jupyter-lsp/jupyterlab-lsp",
        "@jupyter-server/resource-usage",
        "@jupyter-widgets/jupyterlab-manager",
        "jupyterlab-plotly",
    }
    assert expected <= names
    assert set(config["disabledExtensions"]) >= TOGETHER
    assert usage["limits"]["memory"]["rss"] == LIMIT_BYTES or usage["rss"] > 0
    assert "pylsp" in languages["specs"]
    assert settings["gitVersion"]
    assert together.status_code == 404


def test_working_together_can_be_switched_on(client: docker.DockerClient, notebook_image: str) -> None:
    """By one variable, which the chart's `singleuser.collaboration.enabled` sets."""
    with lab(client, notebook_image, COLLABORATION) as address:
        config = page_config(address)
        notebook = {"format": "json", "type": "notebook"}
        url = f"{address}/api/collaboration/session/Welcome.ipynb"
        session = requests.put(url, headers=HEADERS, json=notebook, timeout=30)
    names = {each["name"] for each in config["federated_extensions"]}
    assert names >= TOGETHER
    assert not TOGETHER & set(config["disabledExtensions"])
    assert session.status_code in {200, 201}
    assert session.json()["fileId"]


def test_the_language_server_knows_the_users_python(client: docker.DockerClient, notebook_image: str) -> None:
    """It runs in the Python that the user picked, and sees that one's packages."""
    with lab(client, notebook_image) as address:
        assert "linspace" in complete(address, "import numpy; numpy.linsp")


def test_the_welcome_comes_once(client: docker.DockerClient, notebook_image: str) -> None:
    """It is opened at the first start; one that was deleted does not come back."""
    answer = require_output(client, notebook_image, ["sh", "-c", WELCOME], **as_pod())
    assert answer.split("\n") == ["Welcome.ipynb", "/lab/tree/Welcome.ipynb", "unset"]


def test_a_home_that_cannot_be_written_keeps_no_server_from_starting(
    client: docker.DockerClient, notebook_image: str
) -> None:
    options = {**as_pod(), "tmpfs": {"/home/jovyan": "ro,mode=0755"}}
    assert require_output(client, notebook_image, ["echo", "started"], **options) == "started"


def test_the_welcome_runs_in_this_python(client: docker.DockerClient, notebook_image: str, python_version: str) -> None:
    """Its cells end without an error, and the answer names the Python."""
    script = "jupyter nbconvert --to notebook --execute --stdout Welcome.ipynb 2>/dev/null"
    notebook = json.loads(require_output(client, notebook_image, ["sh", "-c", script], **as_pod()))
    printed = "".join(
        text for cell in notebook["cells"] for output in cell.get("outputs", []) for text in output["text"]
    )
    assert re.search(rf"^Python +{re.escape(python_version)}\.\d+", printed, re.MULTILINE)
