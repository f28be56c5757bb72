"""What the cluster is told of its registry, against an API server that keeps objects as the real one does."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from kubelab_helpers.cluster.health import ApiError
from kubelab_helpers.cluster.registry_secrets import Login
from kubelab_helpers.release.deploy import with_pull_secret
from kubelab_helpers.release.registry import hosting_document, put_hosting, put_pull_secret, read_hosting

LOGIN, OTHER = Login("a password", "kubelab:1"), Login("another password", "kubelab:2")
DOCUMENT = hosting_document("localhost:5001", from_runtime="localhost:5000", from_pods="172.30.250.2:5000")


class Api(ThreadingHTTPServer):
    """Objects by path, those namespaces that there are, and every request that changed something."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, dict[str, Any]] = {}
        self.namespaces = {"kube-public", "jupyterhub"}
        self.writes: list[str] = []
        self.forbidden = False


class Handler(BaseHTTPRequestHandler):
    """GET, POST, PATCH and DELETE of /api/v1/namespaces/NAMESPACE/KIND[/NAME]."""

    server: Api

    def do_GET(self) -> None:
        """Return an object, or 404."""
        found = self.server.objects.get(self.path)
        self._answer(403 if self.server.forbidden else 200 if found else 404, found or {})

    def do_POST(self) -> None:
        """Make an object."""
        body = self._body()
        path = f"{self.path}/{body['metadata']['name']}"
        there = self.path.split("/")[4] in self.server.namespaces
        if there:
            self.server.objects[path] = body
        self._change(201 if there else 404, body)

    def do_PATCH(self) -> None:
        """Merge, as the client's content type asks."""
        found = self.server.objects[self.path]
        for key, value in self._body().items():
            found[key] = {**found.get(key, {}), **value}
        self._change(200, found)

    def do_DELETE(self) -> None:
        """Remove an object."""
        self._change(200, {"status": "Success"})
        del self.server.objects[self.path]

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _change(self, status: int, body: dict[str, Any]) -> None:
        self.server.writes.append(self.command)
        self._answer(status, body)

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — the base class names it so
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    """Return an API server without objects."""
    with Api() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def kubeconfig(api: Api, tmp_path: Path) -> Path:
    """Return the way to it."""
    cluster = {"name": "a", "cluster": {"server": f"http://127.0.0.1:{api.server_port}"}}
    context = {"name": "c", "context": {"cluster": "a", "user": "b"}}
    user = {"name": "b", "user": {"token": "made-up"}}
    target = tmp_path / "kubeconfig"
    target.write_text(
        yaml.safe_dump({"clusters": [cluster], "users": [user], "contexts": [context], "current-context": "c"})
    )
    return target


def secret(api: Api, namespace: str = "jupyterhub") -> dict[str, Any] | None:
    return api.objects.get(f"/api/v1/namespaces/{namespace}/secrets/kubelab-registry")


def test_the_registry_is_described_as_the_standard_says() -> None:
    assert yaml.safe_load(DOCUMENT) == {
        "host": "localhost:5001",
        "hostFromContainerRuntime": "localhost:5000",
        "hostFromClusterNetwork": "172.30.250.2:5000",
        "help": "https://distribution.github.io/distribution/about/insecure/",
    }


def test_the_cluster_says_it_once_and_what_changed_again(api: Api, kubeconfig: Path) -> None:
    assert read_hosting(kubeconfig) is None
    assert put_hosting(kubeconfig, DOCUMENT)
    assert read_hosting(kubeconfig) == DOCUMENT
    assert not put_hosting(kubeconfig, DOCUMENT)
    assert api.writes == ["POST"]
    assert put_hosting(kubeconfig, DOCUMENT.replace("5001", "5002"))
    assert list(api.objects) == ["/api/v1/namespaces/kube-public/configmaps/local-registry-hosting"]
    assert "localhost:5002" in str(read_hosting(kubeconfig))


def test_pods_pull_with_the_labs_account(api: Api, kubeconfig: Path) -> None:
    assert put_pull_secret(kubeconfig, "jupyterhub", LOGIN)
    assert not put_pull_secret(kubeconfig, "jupyterhub", LOGIN)
    assert api.writes == ["POST"]
    made = secret(api)
    assert made
    assert made["type"] == "kubernetes.io/dockerconfigjson"
    config = json.loads(base64.b64decode(made["data"][".dockerconfigjson"]))
    account = {"username": "kubelab", "password": "a password", "auth": "a3ViZWxhYjphIHBhc3N3b3Jk"}
    assert config == {"auths": {"localhost:5000": account}}


def test_another_password_replaces_the_secrets(api: Api, kubeconfig: Path) -> None:
    put_pull_secret(kubeconfig, "jupyterhub", LOGIN)
    before = str(secret(api))
    assert put_pull_secret(kubeconfig, "jupyterhub", OTHER)
    assert str(secret(api)) != before
    assert not put_pull_secret(kubeconfig, "jupyterhub", OTHER)


def test_without_authentication_the_labs_secret_goes_and_one_of_others_stays(api: Api, kubeconfig: Path) -> None:
    assert not put_pull_secret(kubeconfig, "jupyterhub", None)
    put_pull_secret(kubeconfig, "jupyterhub", LOGIN)
    assert put_pull_secret(kubeconfig, "jupyterhub", None)
    assert secret(api) is None

    theirs = "/api/v1/namespaces/jupyterhub/secrets/kubelab-registry"
    api.objects[theirs] = {"metadata": {"name": "kubelab-registry"}, "data": {}}
    assert not put_pull_secret(kubeconfig, "jupyterhub", None)
    assert theirs in api.objects


def test_a_namespace_that_is_not_there_is_passed_over(api: Api, kubeconfig: Path) -> None:
    """The storage's is the chart's own, and a lab can do without it."""
    assert not put_pull_secret(kubeconfig, "jupyterhub-storage", LOGIN)
    assert api.objects == {}


def test_an_api_that_refuses_is_told_without_the_password(api: Api, kubeconfig: Path) -> None:
    api.forbidden = True
    with pytest.raises(ApiError, match="says 403") as caught:
        put_pull_secret(kubeconfig, "jupyterhub", LOGIN)
    assert "a password" not in caught.value.what


def test_the_labs_secret_stands_before_those_that_the_values_name() -> None:
    assert with_pull_secret({})["imagePullSecrets"] == [{"name": "kubelab-registry"}]
    own = {"imagePullSecrets": [{"name": "mine"}], "debug": {"enabled": True}}
    named = with_pull_secret(own)
    assert named == {**own, "imagePullSecrets": [{"name": "kubelab-registry"}, {"name": "mine"}]}
    assert with_pull_secret(named) == named
