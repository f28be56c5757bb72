"""What a registry has under a name, asked of a real HTTP server that wants a login or none."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.images.access import RegistryAccess
from kubelab_helpers.images.remote import StoredConfiguration, read_configuration

DIGEST, CONFIG, INDEX = ("sha256:" + letter * 64 for letter in "abc")
LABELS = {"org.opencontainers.image.title": "kubelab hub"}
BASIC = "Basic " + base64.b64encode(b"ann:secret-word").decode()


class Registry(BaseHTTPRequestHandler):
    """Has one image and one index; `wants` says which login it asks for."""

    wants = ""
    port = 0

    def do_GET(self) -> None:
        """Answer as the distribution specification says."""
        path, given = self.path.partition("?")[0], self.headers.get("Authorization")
        if path == "/token":
            self.answer(200 if given == BASIC else 401, {"token": "a-token"})
            return
        if self.wants and given != {"Basic": BASIC, "Bearer": "Bearer a-token"}[self.wants]:
            realm = f'realm="http://localhost:{self.port}/token",service="here",scope="repository:team/hub:pull"'
            self.answer(401, {}, {"WWW-Authenticate": f"{self.wants} {realm}"})
            return
        known: dict[str, dict[str, Any]] = {
            f"/v2/team/hub/manifests/{DIGEST}": {"config": {"digest": CONFIG}},
            f"/v2/team/hub/manifests/{INDEX}": {"manifests": []},
            f"/v2/team/hub/blobs/{CONFIG}": {"config": {"Labels": LABELS}},
        }
        self.answer(200 if path in known else 404, known.get(path, {}))

    def answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        """Send JSON."""
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A registry that wants no login, and a machine that has none."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setattr(Registry, "wants", "")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    monkeypatch.setattr(Registry, "port", server.server_port)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"localhost:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def log_in(folder: Path, host: str, password: str) -> None:
    login = base64.b64encode(f"ann:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": login}}}))


def read(host: str, digest: str = DIGEST) -> StoredConfiguration:
    engine: Any = SimpleNamespace(info=dict)
    return read_configuration(cast("Any", engine), f"{host}/team/hub:1", digest, access=RegistryAccess(1))


def test_an_image_is_told_by_its_configuration(host: str) -> None:
    assert read(host) == StoredConfiguration(CONFIG, LABELS)


def test_the_labs_own_registry_is_asked_at_its_port_of_this_machine(host: str) -> None:
    engine: Any = SimpleNamespace(info=dict)
    found = read_configuration(engine, "localhost:5000/team/hub:1", DIGEST, access=RegistryAccess(Registry.port))
    assert found.image_id == CONFIG


def test_an_index_of_platforms_has_no_configuration(host: str) -> None:
    assert read(host, INDEX) == StoredConfiguration(None, {})


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_this_machines_login_is_used_as_the_registry_wants_it(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(Registry, "wants", scheme)
    log_in(tmp_path, host, "secret-word")
    assert read(host).labels == LABELS


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_a_wrong_password_is_told_without_the_password(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(Registry, "wants", scheme)
    log_in(tmp_path, host, "wrong-word")
    with pytest.raises(BlockedError, match=r"exists, and what it is could not be read: 401") as raised:
        read(host)
    assert raised.value.next_step == f"docker login {host}; or --force, which replaces it unseen"
    assert "wrong-word" not in raised.value.what


def test_what_cannot_be_reached_is_told(host: str) -> None:
    with pytest.raises(BlockedError, match="could not be read: 404"):
        read(host, "sha256:" + "d" * 64)
