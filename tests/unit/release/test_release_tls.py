"""The hub's certificate as kubelab reads it: from PEM, from a server that shows it, from a cluster that has none."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes.client
import pytest
from kubernetes.client.exceptions import ApiException

from kubelab_helpers.cluster.authority import KeyPair, issue_certificate, make_authority
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.release import tls

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    """Return a CA."""
    return make_authority("kubelab test", NOW)


@pytest.fixture(scope="module")
def server(authority: KeyPair) -> KeyPair:
    """Return a certificate of it."""
    return issue_certificate(authority, ["localhost", "127.0.0.1"], NOW)


def test_a_certificate_is_read_with_its_hosts_and_days(server: KeyPair) -> None:
    found = tls.read_certificate(server.certificate, NOW + timedelta(days=700))
    assert found.hosts == ("localhost", "127.0.0.1")
    assert found.issuer == "CN=kubelab test"
    assert found.days_left in {29, 30}
    assert tls.read_certificate(server.certificate, NOW + timedelta(days=740)).days_left < 0


@contextmanager
def serve(pair: KeyPair, folder: Path) -> Iterator[str]:
    """Answer handshakes with a certificate on a port of the loopback address."""
    (folder / "crt").write_bytes(pair.certificate)
    (folder / "key").write_bytes(pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            try:
                context.wrap_socket(listener.accept()[0], server_side=True).close()
            except OSError:
                return

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(timeout=10)


def test_what_is_served_is_read_whoever_signed_it(server: KeyPair, tmp_path: Path) -> None:
    with serve(server, tmp_path) as address:
        assert tls.read_served(address) == tls.read_certificate(server.certificate, datetime.now(UTC))


def test_nobody_who_answers_is_told() -> None:
    with pytest.raises(KubelabError, match=r"https://127\.0\.0\.1:1 does not answer"):
        tls.read_served("https://127.0.0.1:1")


class Cluster:
    """As much of the API as is asked: the proxy's Deployment, one Secret, and a CronJob that is not there."""

    def __init__(self, volumes: list[Any], data: dict[str, str]) -> None:
        spec = SimpleNamespace(template=SimpleNamespace(spec=SimpleNamespace(volumes=volumes)))
        self.deployment = SimpleNamespace(spec=spec)
        self.data = data

    def list_namespaced_deployment(self, namespace: str, label_selector: str) -> Any:
        """As AppsV1Api."""
        assert (namespace, "component=proxy" in label_selector) == ("jupyterhub", True)
        return SimpleNamespace(items=[self.deployment])

    def read_namespaced_secret(self, name: str, namespace: str) -> Any:
        """As CoreV1Api."""
        assert (name, namespace) == ("given", "jupyterhub")
        return SimpleNamespace(data=self.data)

    def read_namespaced_cron_job(self, name: str, namespace: str) -> Any:
        """As BatchV1Api."""
        raise ApiException(status=404, reason=f"{namespace}/{name}")


def stand_in(monkeypatch: pytest.MonkeyPatch, volumes: list[Any], **data: bytes) -> None:
    """Have that cluster asked."""
    cluster = Cluster(volumes, {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()})

    @contextmanager
    def open_api(_: Path) -> Iterator[None]:
        yield None

    monkeypatch.setattr(tls, "api_client", open_api)
    for name in ("AppsV1Api", "CoreV1Api", "BatchV1Api"):
        monkeypatch.setattr(kubernetes.client, name, lambda _: cluster)


VOLUME = SimpleNamespace(name="tls", secret=SimpleNamespace(secret_name="given"))  # its name


def test_the_secret_that_the_proxy_mounts_is_the_one(
    monkeypatch: pytest.MonkeyPatch, server: KeyPair, authority: KeyPair
) -> None:
    stand_in(monkeypatch, [VOLUME], tls_crt=server.certificate, ca_crt=authority.certificate)
    held = tls.read_held(Path("kubeconfig"))
    assert held is not None
    assert (held.secret, held.authority) == ("given", authority.certificate)
    assert held.certificate.hosts == ("localhost", "127.0.0.1")


def test_a_hub_by_http_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, [SimpleNamespace(name="tmp", secret=None)])
    assert tls.read_held(Path("kubeconfig")) is None


def test_a_secret_that_is_not_there_yet_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """cert-manager needs a moment, and a person may have forgotten it."""

    def refuse(name: str, namespace: str) -> None:
        raise ApiException(status=404, reason=f"{namespace}/{name}")

    stand_in(monkeypatch, [VOLUME])
    monkeypatch.setattr(Cluster, "read_namespaced_secret", staticmethod(refuse))
    with pytest.raises(BlockedError, match="the Secret given, which the proxy waits for"):
        tls.read_held(Path("kubeconfig"))


def test_a_secret_without_a_certificate_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, [VOLUME], tls_crt=b"none")
    with pytest.raises(KubelabError, match="the Secret given holds no certificate"):
        tls.read_held(Path("kubeconfig"))


def test_what_others_sign_is_not_made_anew_here(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, [VOLUME])
    with pytest.raises(BlockedError, match="not the release's own"):
        tls._run_renewal(Path("kubeconfig"))
