"""Whom downloads trust: what the machine says, so that a company's own authority works."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from itertools import pairwise
from pathlib import Path

import pytest
import requests

from kubelab_helpers.artifacts import upstream

VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "PIP_CERT")


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(upstream, "SYSTEM_STORES", ())


def make_authority(folder: Path, name: str) -> Path:
    """Return a PEM file with a certificate for this machine that has signed itself, and its key."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost", "-days", "1"]
    subprocess.run([*argv, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True, timeout=30)
    return certificate


@pytest.fixture
def company(tmp_path: Path) -> Path:
    return make_authority(tmp_path, "company")


@pytest.fixture
def url(company: Path) -> Iterator[str]:
    """Return the URL of a server whose certificate only the company's authority vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(company, company.with_suffix(".key"))
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"https://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


def is_trusted(url: str) -> bool:
    """Ask as a download asks, without its patience."""
    http = upstream.session()
    http.mount("https://", requests.adapters.HTTPAdapter(max_retries=0))
    try:
        return http.head(url, timeout=5).ok
    except requests.exceptions.SSLError:
        return False


def test_a_stranger_is_not_trusted(url: str) -> None:
    assert not is_trusted(url)
    assert not upstream.is_reachable(url)


@pytest.mark.parametrize("name", VARIABLES)
def test_each_variable_names_an_authority(name: str, url: str, company: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, str(company))
    assert is_trusted(url)
    assert upstream.is_reachable(url)


def test_the_system_store_is_trusted(url: str, company: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "SYSTEM_STORES", ("/nowhere.pem", str(company)))
    assert is_trusted(url)


@pytest.mark.parametrize(("winner", "loser"), list(pairwise(VARIABLES)))
def test_the_nearer_variable_wins(
    winner: str, loser: str, url: str, company: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(winner, str(company))
    monkeypatch.setenv(loser, str(make_authority(tmp_path, "other")))
    assert is_trusted(url)
    monkeypatch.setenv(winner, str(tmp_path / "other.pem"))
    monkeypatch.setenv(loser, str(company))
    assert not is_trusted(url)


def test_a_file_that_is_not_there_is_passed_over(url: str, company: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    monkeypatch.setenv("PIP_CERT", str(company))
    assert is_trusted(url)
