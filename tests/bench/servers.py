"""A notebook server without a hub, kubelab's and a plain one: its first answer, and its first cell."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import requests
import websocket

from kubelab_helpers import resources
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.images.base import base_reference, import_bases
from kubelab_helpers.images.builder import Builder
from kubelab_helpers.images.client import find_build_client
from kubelab_helpers.images.locks import read_pins, read_requirements
from kubelab_helpers.images.secrets import build_secrets
from kubelab_helpers.result import SilentReporter
from tests.bench.figures import Figures, summarize
from tests.e2e.kernel import CELL_TIMEOUT_SECONDS, Kernel
from tests.images.containers import as_pod, published_address, running, wait_until_answer

if TYPE_CHECKING:
    from docker import DockerClient

STARTS = 5
PORT = 8888
TOKEN = "made-up"
AUTHORIZED = {"Authorization": f"token {TOKEN}"}
SERVER = ("jupyter-lab", "--ip=0.0.0.0", f"--port={PORT}", "--no-browser", f"--IdentityProvider.token={TOKEN}")
PLAIN = "localhost/kubelab-bench/plain:1"
BASE = "debian-trixie"
BUILD_TIMEOUT_SECONDS = 1800.0
INSTALLED = ("jupyterhub", "jupyterlab")


@dataclass(frozen=True)
class Start:
    """Seconds of one start: from `docker run` to the first answer, and from the kernel's request to a cell's result."""

    first_answer: float
    first_cell: float


def measure_starts(engine: DockerClient, reference: str) -> Figures:
    """Start kubelab's image and the plain one in turn, so that whatever else the machine does falls on both."""
    with plain_image(engine):
        found: dict[str, list[Start]] = {"kubelab": [], "plain": []}
        for number in range(STARTS + 1):
            for name, image in (("kubelab", reference), ("plain", PLAIN)):
                start = _start(engine, image)
                if number:  # the first of each reads the image from the disk
                    found[name].append(start)
    return {
        name: {
            "first_answer_seconds": summarize([each.first_answer for each in starts]),
            "first_cell_seconds": summarize([each.first_cell for each in starts]),
        }
        for name, starts in found.items()
    }


@contextmanager
def plain_image(engine: DockerClient) -> Iterator[None]:
    """Have the plain image, made on the same root file system and with the releases of kubelab's lock."""
    store = Store()
    requirements = resources.path("images/server/requirements")
    asked = [each for each in read_requirements(requirements / "server.in") if each.partition("==")[0] in INSTALLED]
    import_bases(engine, store, [BASE], SilentReporter())
    with TemporaryDirectory() as name, build_secrets() as secrets:
        folder = Path(name)
        dockerfile = Path(__file__).with_name("plain") / "Dockerfile"
        (folder / "Dockerfile").write_bytes(dockerfile.read_bytes())
        (folder / "requirements.txt").write_text("\n".join(asked) + "\n")
        (folder / "constraints.txt").write_text("\n".join(read_pins(requirements / "server.txt")) + "\n")
        command = find_build_client().command(
            folder,
            PLAIN,
            arguments={"BASE": base_reference(BASE, store.catalog.key(BASE))},
            labels={},
            secrets=secrets,
            timeout_seconds=BUILD_TIMEOUT_SECONDS,
        )
        Builder(engine, SilentReporter()).build("plain", PLAIN, command, repeat="python -m tests.bench images")
    try:
        yield
    finally:
        engine.images.remove(PLAIN)


def _start(engine: DockerClient, image: str, argv: Sequence[str] = SERVER) -> Start:
    # A container's port cannot be known before it runs, and asking for it is no part of the start.
    options = {**as_pod(), "ports": {f"{PORT}/tcp": ("127.0.0.1", None)}}
    began = time.monotonic()
    with running(engine, image, argv, **options) as server:
        address = published_address(server, PORT)
        wait_until_answer(server, f"{address}/lab", headers=AUTHORIZED)
        answered = time.monotonic() - began
        return Start(answered, _first_cell(address))


def _first_cell(address: str) -> float:
    began = time.monotonic()
    answer = requests.post(f"{address}/api/kernels", headers=AUTHORIZED, json={}, timeout=CELL_TIMEOUT_SECONDS)
    answer.raise_for_status()
    channel = websocket.create_connection(
        f"{address.replace('http', 'ws', 1)}/api/kernels/{answer.json()['id']}/channels",
        header=AUTHORIZED,
        timeout=CELL_TIMEOUT_SECONDS,
    )
    try:
        assert Kernel(channel).run("6 * 7").result == "42"
        return time.monotonic() - began
    finally:
        channel.close()
