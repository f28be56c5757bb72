"""A protected registry, against the real program: who is let in, and what a cut upload leaves."""

from __future__ import annotations

import hashlib
import http.client
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kubelab_helpers.cluster.certificates import now
from kubelab_helpers.cluster.registry_secrets import (
    AUTHORITY,
    Login,
    Protection,
    RegistrySecrets,
    keep_secrets,
    obtain_secrets,
)
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.images.access import RegistryAccess
from kubelab_helpers.images.content import RegistryContent
from kubelab_helpers.images.layout import LayoutImage, blob_name, copy_image

from .registries import Pushing, free_port, serve

NAMES = ("localhost", "127.0.0.1")
BOTH = Protection(tls=True, authentication=True)


def make_secrets(folder: Path, wanted: Protection = BOTH) -> RegistrySecrets:
    made = obtain_secrets(folder, wanted, "test", NAMES, now())
    keep_secrets(folder, made)
    return made


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryAccess]:
    """Return the way to a registry with TLS and a password."""
    folder = tmp_path_factory.mktemp("protected")
    secrets = make_secrets(folder / "secrets")
    access = RegistryAccess(free_port(), tls=True, login=secrets.login, folder=folder / "secrets")
    with serve(folder / "data", access, secrets) as answering:
        yield answering


def test_the_labs_own_requests_are_let_in(registry: RegistryAccess, tmp_path: Path) -> None:
    digest = Pushing(registry).push("kubelab/own", b"layer", "1")
    with RegistryContent(registry) as content:
        assert content.find("kubelab/own:1").digest == digest
    image = LayoutImage("localhost:5000/kubelab/own:1", digest)
    copy_image(image, tmp_path, registry)
    assert (tmp_path / blob_name(digest)).is_file()


def test_a_password_alone_protects_too(tmp_path: Path) -> None:
    secrets = make_secrets(tmp_path / "secrets", Protection(authentication=True))
    access = RegistryAccess(free_port(), login=secrets.login, folder=tmp_path / "secrets")
    with serve(tmp_path / "data", access, secrets):
        Pushing(access).push("kubelab/plain", b"layer", "1")
        with RegistryContent(access) as content:
            assert [image.name for image in content.list_images()] == ["kubelab/plain:1"]
        with pytest.raises(KubelabError, match="does not accept a request without a password"):
            RegistryContent(replace(access, login=None)).__enter__()


def test_a_wrong_password_is_refused_and_not_shown(registry: RegistryAccess, tmp_path: Path) -> None:
    wrong = replace(registry, login=Login("a wrong password", "kubelab:"))
    image = LayoutImage("localhost:5000/kubelab/own:1", "sha256:" + "0" * 64)
    for attempt in (lambda: RegistryContent(wrong).__enter__(), lambda: copy_image(image, tmp_path, wrong)):
        with pytest.raises(KubelabError) as caught:
            attempt()
        assert caught.value.what == (
            f"the registry at {registry.address} does not accept the password in {registry.folder}/password"
        )
        assert "`kubelab up`" in caught.value.next_step
        assert "a wrong password" not in f"{caught.value.what}{caught.value.next_step}{caught.value.repeat}"


def test_a_request_can_be_repeated_by_hand_without_the_password_on_the_command_line() -> None:
    access = RegistryAccess(5001, tls=True, login=Login("secret", "kubelab:"), folder=Path("lab/registry"))
    assert access.curl("/v2/") == "curl -f --cacert lab/registry/ca.crt --user kubelab https://127.0.0.1:5001/v2/"


def test_a_certificate_of_another_authority_is_refused(registry: RegistryAccess, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    with pytest.raises(KubelabError, match="is not this lab's registry: its certificate is not one of") as caught:
        RegistryContent(replace(registry, folder=tmp_path)).__enter__()
    assert str(tmp_path / AUTHORITY) in caught.value.what
    assert caught.value.next_step


def test_a_folder_without_the_authority_is_told(registry: RegistryAccess, tmp_path: Path) -> None:
    with pytest.raises(BlockedError, match=r"has TLS, and .*ca\.crt, which signed its certificate, is not here"):
        RegistryContent(replace(registry, folder=tmp_path)).__enter__()


def test_a_cut_upload_leaves_nothing_visible_and_the_next_push_works(registry: RegistryAccess) -> None:
    layer = b"0123456789" * 10_000
    pushing = Pushing(registry)
    target = urlsplit(pushing.begin("kubelab/cut"))
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    context = ssl.create_default_context(cafile=str(registry.folder / AUTHORITY))
    connection = http.client.HTTPSConnection("127.0.0.1", registry.machine_port, context=context, timeout=10)
    connection.putrequest("PUT", f"{target.path}?{target.query}&digest={digest}")
    assert registry.login
    connection.putheader("Authorization", registry.login.authorization)
    connection.putheader("Content-Length", str(len(layer)))
    connection.endheaders(layer[:50_000])
    connection.close()  # half of it was announced and never came

    blob = f"{registry.address}/v2/kubelab/cut/blobs/{digest}"
    assert pushing.http.head(blob, timeout=10).status_code == 404
    with RegistryContent(registry) as content:
        assert [image.name for image in content.list_images() if "cut" in image.name] == []
    pushed = pushing.push("kubelab/cut", layer, "1")
    with RegistryContent(registry) as content:
        assert content.find("kubelab/cut:1").digest == pushed


def test_layers_that_were_finished_outlive_the_registrys_end(tmp_path: Path) -> None:
    """What a push that was cut off had finished is there when the registry is back, under other certificates too."""
    secrets = make_secrets(tmp_path / "secrets")
    access = RegistryAccess(free_port(), tls=True, login=secrets.login, folder=tmp_path / "secrets")
    with serve(tmp_path / "data", access, secrets):
        finished = Pushing(access).upload("kubelab/hub", b"a finished layer")
    for path in (tmp_path / "secrets").iterdir():
        path.unlink()
    secrets = make_secrets(tmp_path / "secrets")
    access = replace(access, login=secrets.login)
    with serve(tmp_path / "data", access, secrets):
        blob = f"{access.address}/v2/kubelab/hub/blobs/{finished['digest']}"
        assert Pushing(access).http.head(blob, timeout=10).status_code == 200
        with RegistryContent(access) as content:
            assert content.list_images() == []
