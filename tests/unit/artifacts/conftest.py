"""Each test has its own cache and its own file server; no host but loopback is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelab_helpers.artifacts import upstream
from kubelab_helpers.artifacts.catalog import Catalog
from tests.unit.artifacts.support import FileServer, loopback_session, publish_small, serving, small_catalog


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty folder that this test's cache is in."""
    home = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Return a file server that stands for every host upstream."""
    with serving() as files:
        monkeypatch.setattr(upstream, "session", lambda: loopback_session(files.port))
        yield files


@pytest.fixture
def catalog(tmp_path: Path, server: FileServer) -> Catalog:
    """Return the small catalogue, its files served."""
    publish_small(server)
    return small_catalog(tmp_path)
