"""The real registry program on loopback, and what a client of it sends."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.cluster.registry import configure
from kubelab_helpers.cluster.registry_secrets import AUTHORITY, USER, RegistrySecrets
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.images.access import RegistryAccess, RegistryClient
from kubelab_helpers.result import SilentReporter

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def registry_program() -> Path:
    """Return the registry's program; the test is skipped where the cache has none."""
    store = Store()
    if store.missing(["registry"]):
        pytest.skip("the artifact `registry` is not in the cache")
    return store.fetch(["registry"], SilentReporter())["registry"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serve(data: Path, access: RegistryAccess, secrets: RegistrySecrets | None = None) -> Iterator[RegistryAccess]:
    """Run a registry where `access` finds it, over what is in `data`; `secrets` are in the access's folder."""
    config = data.parent / f"{data.name}.yml"
    address, folder = f"127.0.0.1:{access.machine_port}", str(access.folder)
    config.write_text(yaml.safe_dump(configure(str(data), address, secrets=secrets, folder=folder)))
    argv = [str(registry_program()), "serve", str(config)]
    process = subprocess.Popen(argv, env={"OTEL_TRACES_EXPORTER": "none"}, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not _answers(access):
            assert time.monotonic() < deadline, "the registry did not start"
            time.sleep(0.05)
        yield access
    finally:
        process.terminate()
        process.wait(timeout=10)


def _answers(access: RegistryAccess) -> bool:
    with suppress(BlockedError), RegistryClient(access) as client:
        return client.ask("GET", "/v2/").ok
    return False


@dataclass
class Pushing:
    """A client that pushes images of one layer."""

    access: RegistryAccess

    def __post_init__(self) -> None:
        """Open the connection."""
        self.http = requests.Session()
        self.http.trust_env = False
        if self.access.tls:
            self.http.verify = str(self.access.folder / AUTHORITY)
        if self.access.login:
            self.http.auth = (USER, self.access.login.password)

    def begin(self, repository: str) -> str:
        """Begin an upload and return where to send it."""
        answer = self.http.post(f"{self.access.address}/v2/{repository}/blobs/uploads/", timeout=10)
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"]

    def upload(self, repository: str, content: bytes) -> dict[str, Any]:
        """Put a blob there and return its descriptor."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        target = self.begin(repository)
        joint = "&" if "?" in target else "?"
        answer = self.http.put(f"{target}{joint}digest={digest}", data=content, timeout=10)
        assert answer.status_code == 201, answer.text
        return {"mediaType": "application/octet-stream", "digest": digest, "size": len(content)}

    def push(self, repository: str, layer: bytes, *tags: str) -> str:
        """Push an image of one layer under each tag, and return its digest."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.upload(repository, b"{}"),
            "layers": [self.upload(repository, layer)],
        }
        for tag in tags:
            url = f"{self.access.address}/v2/{repository}/manifests/{tag}"
            answer = self.http.put(url, data=json.dumps(manifest), headers={"Content-Type": MANIFEST}, timeout=10)
            assert answer.status_code == 201, answer.text
        return str(answer.headers["Docker-Content-Digest"])
