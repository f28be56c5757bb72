"""A registry with TLS and a password as a container of its own: pushed to by the engine, and cut off in the middle."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kubelab_helpers.cluster.certificates import now
from kubelab_helpers.cluster.registry_secrets import (
    PASSWORD,
    Login,
    Protection,
    RegistrySecrets,
    keep_secrets,
    obtain_secrets,
)
from kubelab_helpers.errors import KubelabError
from kubelab_helpers.images import garbage, registry
from kubelab_helpers.images.access import RegistryAccess
from kubelab_helpers.images.content import RegistryContent
from kubelab_helpers.images.garbage import collect_garbage
from kubelab_helpers.images.layout import LayoutImage, blob_name, copy_image
from kubelab_helpers.images.push import push
from kubelab_helpers.images.registry import start_registry, stop_registry
from kubelab_helpers.result import Outcome

if TYPE_CHECKING:
    import docker

pytestmark = pytest.mark.timeout(400)
NAME = "kubelab-test-secure-registry"
CLUSTER = "test-secure"
SMALL_BYTES, LARGE_BYTES = 100_000, 150_000_000


def make_secrets(folder: Path) -> RegistrySecrets:
    made = obtain_secrets(folder, Protection(tls=True, authentication=True), CLUSTER, ("localhost", "127.0.0.1"), now())
    keep_secrets(folder, made)
    return made


def start(client: docker.DockerClient, access: RegistryAccess, secrets: RegistrySecrets) -> Outcome:
    return start_registry(client, CLUSTER, access, secrets=secrets)


@pytest.fixture(scope="module")
def secure(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryAccess]:
    """The way to a registry beside the machine's own, which stays as it is."""
    folder = tmp_path_factory.mktemp("secrets")
    secrets = make_secrets(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    access = RegistryAccess(port, tls=True, login=secrets.login, folder=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "NAME", NAME)
        patch.setattr(garbage, "NAME", NAME)
        try:
            assert start(client, access, secrets) is Outcome.CHANGED
            yield access
        finally:
            stop_registry(client, with_content=True)


@pytest.fixture
def make_image(client: docker.DockerClient) -> Iterator[Callable[..., str]]:
    """Return the function that gives the engine an image of layers that nothing else has, each of so many bytes."""
    made = []

    def make(*sizes: int) -> str:
        reference = f"localhost:5000/kubelab/test-secure:{uuid.uuid4().hex[:12]}"
        client.images.load(image_archive(reference, [os.urandom(size) for size in sizes]))
        made.append(reference)
        return reference

    yield make
    for reference in made:
        client.images.remove(reference, force=True)


def image_archive(reference: str, layers: list[bytes]) -> bytes:
    """Return what `docker save` would give of an image with these files, a layer each."""
    files = {}
    for number, content in enumerate(layers):
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            add(tar, f"noise-{number}", content)
        files[f"{number}/layer.tar"] = layer.getvalue()
    digests = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in files.values()]
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": digests}}
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": list(files)}]
    files |= {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode()}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            add(tar, name, content)
    return archive.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def name_of(reference: str) -> str:
    return reference.partition("/")[2]


def test_the_engine_pushes_and_the_lab_reads(
    client: docker.DockerClient, secure: RegistryAccess, make_image: Callable[..., str], tmp_path: Path
) -> None:
    """The engine knows nothing of the authority: on loopback it takes any certificate."""
    reference = make_image(SMALL_BYTES)
    pushed = push(client, reference, access=secure)
    assert pushed.changed
    assert not push(client, reference, access=secure).changed
    with RegistryContent(secure) as content:
        assert content.find(name_of(reference)).digest == pushed.digest
    copy_image(LayoutImage(reference, pushed.digest), tmp_path, secure)
    assert (tmp_path / blob_name(pushed.digest)).is_file()


@pytest.mark.parametrize("login", [None, Login("a wrong password", "kubelab:")])
def test_a_wrong_password_is_refused_with_the_file_that_has_the_right_one(
    client: docker.DockerClient, secure: RegistryAccess, make_image: Callable[..., str], login: Login | None
) -> None:
    reference = make_image(SMALL_BYTES)
    with pytest.raises(KubelabError, match="does not accept") as caught:
        push(client, reference, access=replace(secure, login=login))
    told = f"{caught.value.what}{caught.value.next_step}{caught.value.repeat}"
    assert login is None or str(secure.folder / PASSWORD) in told
    assert "`kubelab up`" in told
    assert "a wrong password" not in told
    with RegistryContent(secure) as content:
        assert name_of(reference) not in {image.name for image in content.list_images()}


def test_a_registry_of_another_authority_is_refused(secure: RegistryAccess, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    with pytest.raises(KubelabError, match="is not this lab's registry"):
        RegistryContent(replace(secure, folder=tmp_path)).__enter__()


def test_its_secrets_are_its_users_alone(client: docker.DockerClient, secure: RegistryAccess) -> None:
    container = client.containers.get(NAME)
    for name in ("tls.key", "htpasswd"):
        _, found = container.get_archive(f"/etc/distribution/{name}")
        assert found
        assert int(found["mode"]) & 0o777 == 0o400, name
    assert secure.login
    shown = json.dumps(container.attrs)
    assert secure.login.password not in shown
    assert secure.login.htpasswd not in shown


def test_a_push_that_was_cut_off_goes_on(
    client: docker.DockerClient,
    secure: RegistryAccess,
    make_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The registry is killed while the large layer is on its way; the same call then sends only that one again."""
    reference = make_image(SMALL_BYTES, LARGE_BYTES)
    real, events = client.api.push, list[dict[str, Any]]()

    def cut_off(*arguments: Any, **options: Any) -> Iterator[dict[str, Any]]:
        killed = False
        for event in real(*arguments, **options):
            events.append(event)
            finished = any(each.get("status") == "Pushed" for each in events)
            if finished and not killed and event.get("progressDetail", {}).get("current"):
                client.containers.get(NAME).kill()
                killed = True
            yield event
        assert killed, "the push was over before it could be cut off"

    monkeypatch.setattr(client.api, "push", cut_off)
    with pytest.raises(KubelabError) as caught:
        push(client, reference, access=secure)
    assert "the same command goes on from there" in caught.value.next_step
    done = {event["id"] for event in events if event.get("status") == "Pushed"}
    assert len(done) == 1

    assert start(client, secure, make_secrets(secure.folder)) is Outcome.CHANGED
    with RegistryContent(secure) as content:
        assert name_of(reference) not in {image.name for image in content.list_images()}
    events.clear()

    def follow(*arguments: Any, **options: Any) -> Iterator[dict[str, Any]]:
        for event in real(*arguments, **options):
            events.append(event)
            yield event

    monkeypatch.setattr(client.api, "push", follow)
    pushed = push(client, reference, access=secure)
    assert {event["id"] for event in events if event.get("status") == "Layer already exists"} == done
    with RegistryContent(secure) as content:
        assert content.find(name_of(reference)).digest == pushed.digest


def test_other_secrets_mean_another_container_with_the_same_content(
    client: docker.DockerClient, secure: RegistryAccess, make_image: Callable[..., str], tmp_path: Path
) -> None:
    reference = make_image(SMALL_BYTES)
    push(client, reference, access=secure)
    kept = make_secrets(secure.folder)
    assert start(client, secure, kept) is Outcome.UNCHANGED
    other = make_secrets(tmp_path)
    access = replace(secure, login=other.login, folder=tmp_path)
    try:
        assert start(client, access, other) is Outcome.CHANGED
        with RegistryContent(access) as content:
            assert content.find(name_of(reference))
        with pytest.raises(KubelabError, match="is not this lab's registry"):
            RegistryContent(secure).__enter__()
    finally:
        start(client, secure, kept)


def test_garbage_is_collected_and_it_answers_again(
    client: docker.DockerClient, secure: RegistryAccess, make_image: Callable[..., str]
) -> None:
    reference = make_image(SMALL_BYTES)
    push(client, reference, access=secure)
    with RegistryContent(secure) as content:
        content.delete(content.find(name_of(reference)))
    assert collect_garbage(client, secure).blobs >= 2
    with RegistryContent(secure) as content:
        assert name_of(reference) not in {image.name for image in content.list_images()}
