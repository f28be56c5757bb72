"""`kubelab cluster`: what is refused before any host is reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubelab_helpers.cli import cluster
from kubelab_helpers.errors import ExitStatus, InvalidInputError
from kubelab_helpers.hosts import ssh

LAB = """\
hosts:
  - {name: head, role: control-plane, address: 192.0.2.10, ssh: {}}
  - {name: one, role: worker, address: 192.0.2.11, ssh: {}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a lab's file; whoever opens a connection fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(ssh, "_wait", lambda *_: pytest.fail("a host was reached"))
    (tmp_path / "kubelab.yaml").write_text(LAB)
    return tmp_path / "kubelab.yaml"


def test_remove_wants_to_be_sure(file: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        cluster.remove("one", file=file)
    assert caught.value.next_step == "kubelab cluster remove one --yes"
    assert caught.value.exit_status is ExitStatus.INVALID


def test_an_unknown_host_is_answered_with_the_nearest(file: Path) -> None:
    with pytest.raises(InvalidInputError, match="has no host hed; did you mean head"):
        cluster.remove("hed", file=file, yes=True)
    with pytest.raises(InvalidInputError, match="has no host two"):
        cluster.add("two", file=file)
