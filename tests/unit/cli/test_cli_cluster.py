"""`kubelab cluster`: what is refused before any host is reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubelab_helpers.cli import cluster, kubelab
from kubelab_helpers.errors import BlockedError, ExitStatus, InvalidInputError
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


@pytest.mark.parametrize("dry_run", [True, False])
def test_up_is_refused_where_the_hosts_cannot_fetch_the_images(file: Path, dry_run: bool) -> None:
    """Before the lock on the host, too: nothing of it is reached."""
    with pytest.raises(BlockedError, match="only container nodes reach"):
        kubelab.up(file=file, dry_run=dry_run)


def test_down_does_not_pretend(file: Path) -> None:
    with pytest.raises(BlockedError, match="the hosts of kubelab are not on this machine"):
        kubelab.down(file=file, yes=True)
