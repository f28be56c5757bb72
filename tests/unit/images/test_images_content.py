"""What a registry holds, against the real registry program on loopback."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.cluster.registry import configure
from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.images.content import RegistryContent
from kubelab_helpers.result import SilentReporter

STORE = Store()
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a registry with no image in it."""
    if STORE.missing(["registry"]):
        pytest.skip("the artifact `registry` is not in the cache")
    program = STORE.fetch(["registry"], SilentReporter())["registry"]
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(yaml.safe_dump(configure(str(folder / "data"), f"127.0.0.1:{port}")))
    process = subprocess.Popen([program, "serve", config], env={"OTEL_TRACES_EXPORTER": "none"})
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                requests.get(f"{address}/v2/", timeout=2)
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline, "the registry did not start"
                time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=10)


def upload(address: str, repository: str, content: bytes) -> dict[str, object]:
    """Put a blob there and return its descriptor."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    begun = requests.post(f"{address}/v2/{repository}/blobs/uploads/", timeout=10)
    target = begun.headers["Location"]
    joint = "&" if "?" in target else "?"
    assert requests.put(f"{target}{joint}digest={digest}", data=content, timeout=10).status_code == 201
    return {"mediaType": "application/octet-stream", "digest": digest, "size": len(content)}


def push(address: str, repository: str, layer: bytes, *tags: str) -> str:
    """Push an image of one layer under each tag, and return its digest."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": upload(address, repository, b"{}"),
        "layers": [upload(address, repository, layer)],
    }
    for tag in tags:
        url = f"{address}/v2/{repository}/manifests/{tag}"
        answer = requests.put(url, data=json.dumps(manifest), headers={"Content-Type": MANIFEST}, timeout=10)
        assert answer.status_code == 201, answer.text
    return str(answer.headers["Docker-Content-Digest"])


def test_every_tag_is_listed_with_digest_and_size(registry: str) -> None:
    digest = push(registry, "listed/hub", b"x" * 100, "1", "2")
    with RegistryContent(registry) as content:
        found = [each for each in content.list_images() if each.repository == "listed/hub"]
    assert [(each.name, each.digest, each.size_bytes) for each in found] == [
        ("listed/hub:1", digest, 102),
        ("listed/hub:2", digest, 102),
    ]


def test_more_repositories_than_a_page_has_are_listed(registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubelab_helpers.images.content.PAGE", 2)
    for number in range(5):
        push(registry, f"paged/{number}", b"y", "1")
    with RegistryContent(registry) as content:
        names = [each.name for each in content.list_images()]
    assert [name for name in names if name.startswith("paged/")] == [f"paged/{number}:1" for number in range(5)]


def test_an_image_is_taken_out_with_every_name_it_has(registry: str) -> None:
    push(registry, "gone/hub", b"one", "1", "latest")
    push(registry, "gone/hub", b"two", "2")
    with RegistryContent(registry) as content:
        assert content.delete(content.find("gone/hub:1")) == ["gone/hub:1", "gone/hub:latest"]
        assert [each.name for each in content.list_images() if each.repository == "gone/hub"] == ["gone/hub:2"]


def test_a_name_that_is_not_there_gets_the_nearest(registry: str) -> None:
    push(registry, "near/notebook", b"z", "0.1.0-py3.13")
    with (
        RegistryContent(registry) as content,
        pytest.raises(InvalidInputError, match=r"did you mean near/notebook:0\.1\.0-py3\.13\?"),
    ):
        content.find("near/notebook:0.1.0-py3.12")


def test_no_registry_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(BlockedError, match="no registry answers") as caught, RegistryContent(address):
            pass
    assert "kubelab registry up" in caught.value.next_step
