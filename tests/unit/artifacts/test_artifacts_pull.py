"""Root file systems from a registry: the real registry program on loopback, and only the host replaced."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import tarfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
import yaml

from kubelab_helpers.artifacts import upstream
from kubelab_helpers.artifacts.catalog import load_catalog
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import KubelabError
from kubelab_helpers.result import SilentReporter

if TYPE_CHECKING:
    from docker import DockerClient

STORE = Store()
REGISTRY = STORE.fetch(["registry"], SilentReporter())["registry"] if not STORE.missing(["registry"]) else None
ROOT_FILE_SYSTEMS = {
    name: each.recipe["upstream"]["image"]
    for name, each in load_catalog().artifacts.items()
    if "image" in each.recipe.get("upstream", {})
}
# Of this run alone: an engine asks no registry for a layer that it has already.
MARK = f'PRETTY_NAME="Debian {uuid.uuid4()}"\n'.encode()


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerClient]:
    import docker
    from docker.errors import DockerException

    if REGISTRY is None:
        pytest.skip("the artifact `registry` is not in the cache")
    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except DockerException:
        pytest.skip("no container engine is running")
    yield client
    client.close()


@pytest.fixture(scope="module")
def registry(engine: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Return a registry's address and folder; it serves an image under each name of the catalogue."""
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": address},
    }
    (folder / "config.yml").write_text(yaml.safe_dump(settings))
    with subprocess.Popen(
        [str(REGISTRY), "serve", str(folder / "config.yml")],
        env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until_it_answers(f"http://{address}/v2/")
            for image in ROOT_FILE_SYSTEMS.values():
                push(engine, image.replace("docker.io", address, 1))
            yield address, folder / "data"
        finally:
            process.terminate()
            for image in engine.images.list():
                for tag in image.tags:
                    if tag.startswith(address):
                        engine.images.remove(tag)


def wait_until_it_answers(url: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            requests.get(url, timeout=1).raise_for_status()
        except requests.RequestException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def push(engine: DockerClient, reference: str) -> None:
    """Push an image whose root file system holds one file, and keep no copy of it in the engine."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("etc/os-release")
        entry.size = len(MARK)
        tar.addfile(entry, io.BytesIO(MARK))
    repository, _, tag = reference.rpartition(":")
    engine.api.import_image_from_data(buffer.getvalue(), repository=repository, tag=tag)
    for line in engine.images.push(repository, tag=tag, stream=True, decode=True):
        assert "error" not in line, line
    engine.images.remove(reference)


def has_image(engine: DockerClient, reference: str) -> bool:
    return any(reference in image.tags for image in engine.images.list())


@pytest.mark.parametrize("name", ROOT_FILE_SYSTEMS)
def test_a_root_file_system_is_pulled(
    name: str, registry: tuple[str, Path], engine: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = registry
    export = upstream.export_image
    reference = ROOT_FILE_SYSTEMS[name].replace("docker.io", address, 1)
    monkeypatch.setattr(upstream, "export_image", lambda _, target, platform: export(reference, target, platform))
    with tarfile.open(Store("upstream").fetch([name], SilentReporter())[name]) as tar:
        file = tar.extractfile("etc/os-release")
        assert file is not None
        assert file.read() == MARK
    # What was not in the engine before is not in it afterwards: neither the image nor a container of it.
    assert not has_image(engine, reference)
    assert engine.containers.list(all=True, filters={"ancestor": reference}) == []


def test_an_image_that_was_there_stays(registry: tuple[str, Path], engine: DockerClient, tmp_path: Path) -> None:
    reference = ROOT_FILE_SYSTEMS["debian-bookworm"].replace("docker.io", registry[0], 1)
    engine.images.pull(*reference.rsplit(":", 1))
    try:
        upstream.export_image(reference, tmp_path / "out")
        assert has_image(engine, reference)
    finally:
        engine.images.remove(reference)


def test_a_reference_without_an_image(registry: tuple[str, Path], tmp_path: Path) -> None:
    reference = f"{registry[0]}/library/debian:buster-slim"
    with pytest.raises(KubelabError, match="buster-slim") as caught:
        upstream.export_image(reference, tmp_path / "out")
    assert caught.value.repeat == f"docker pull {reference}"


def test_a_changed_layer_is_refused(registry: tuple[str, Path], engine: DockerClient, tmp_path: Path) -> None:
    """The registry's disk holds other bytes under the layer's digest: whoever verifies digests must refuse them."""
    address, data = registry
    reference = ROOT_FILE_SYSTEMS["debian-trixie"].replace("docker.io", address, 1)
    layers = [path for path in data.rglob("data") if path.read_bytes()[:2] == b"\x1f\x8b"]
    assert layers
    for path in layers:
        content = bytearray(path.read_bytes())
        content[-6] ^= 0xFF
        path.write_bytes(content)
    with pytest.raises(KubelabError, match="trixie-slim"):
        upstream.export_image(reference, tmp_path / "out")
    assert not has_image(engine, reference)
