"""The machine's own registry by its commands: what is in it, what is taken out, and that its disk is given back."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kubelab_helpers.images.access import RegistryAccess
from kubelab_helpers.images.push import push
from kubelab_helpers.images.registry import NAME, registry_state

if TYPE_CHECKING:
    import docker

KUBELAB = Path(sys.executable).with_name("kubelab")
BYTES = 3_000_000
REPOSITORY = "kubelab/test-garbage"
pytestmark = pytest.mark.timeout(300)


def kubelab(*arguments: str, status: int = 0) -> Any:
    """Return the JSON that a command answers with."""
    argv = [str(KUBELAB), "registry", *arguments, "--output", "json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == status, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout) if status == 0 else done.stderr


@pytest.fixture(scope="module")
def port(client: docker.DockerClient) -> Iterator[int]:
    """The registry's port on this machine; one that was not there goes again."""
    before = registry_state(client)
    kubelab("up")
    state = registry_state(client)
    assert state is not None
    yield state.machine_port
    if before is None:
        kubelab("down", "--with-content", "--yes")


@pytest.fixture
def pushed(client: docker.DockerClient, port: int) -> Iterator[str]:
    """The name of an image in the registry whose one layer nothing else has."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        entry = tarfile.TarInfo("noise")
        entry.size = BYTES
        tar.addfile(entry, io.BytesIO(os.urandom(BYTES)))  # it cannot be packed
    tag = uuid.uuid4().hex[:12]
    reference = f"localhost:5000/{REPOSITORY}:{tag}"
    client.api.import_image_from_data(content.getvalue(), repository=f"localhost:5000/{REPOSITORY}", tag=tag)
    try:
        push(client, reference, access=RegistryAccess(port))
    finally:
        client.images.remove(reference)
    yield f"{REPOSITORY}:{tag}"
    if names() & {f"{REPOSITORY}:{tag}"}:
        kubelab("delete", f"{REPOSITORY}:{tag}", "--yes")


def names() -> set[str]:
    return {image["name"] for image in kubelab("list")["images"]}


def test_an_image_is_listed_with_its_size(pushed: str) -> None:
    found = next(image for image in kubelab("list")["images"] if image["name"] == pushed)
    assert found["digest"].startswith("sha256:")
    assert BYTES <= found["size_bytes"] < BYTES * 1.1


def test_what_it_holds_outlives_a_restart(client: docker.DockerClient, pushed: str) -> None:
    before = names()
    client.containers.get(NAME).restart(timeout=10)
    kubelab("up")
    assert pushed in before
    assert names() == before


def test_deleting_asks_first(pushed: str) -> None:
    said = kubelab("delete", pushed, status=2)
    assert f"kubelab registry delete {pushed} --yes" in said
    assert pushed in names()


def test_garbage_gives_its_bytes_back_and_takes_nothing_else(pushed: str) -> None:
    others = names() - {pushed}
    assert kubelab("delete", pushed, "--yes")["deleted"] == [pushed]
    stored = kubelab("status")["registry"]["stored_bytes"]
    assert stored >= BYTES

    tried = kubelab("gc", "--dry-run")["collected"]
    assert tried["blobs"] >= 2
    assert kubelab("status")["registry"]["stored_bytes"] == stored

    done = kubelab("gc")["collected"]
    assert done["blobs"] == tried["blobs"]
    assert done["before_bytes"] - done["after_bytes"] >= BYTES
    assert names() == others
    assert kubelab("gc")["collected"]["blobs"] == 0


def test_an_image_that_is_not_there_gets_the_nearest_name(pushed: str) -> None:
    said = kubelab("delete", pushed[:-1], "--yes", status=2)
    assert f"did you mean {pushed}?" in said
