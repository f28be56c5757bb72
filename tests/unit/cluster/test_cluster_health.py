"""Asking an API server that is not there, and waiting with a deadline."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kubelab_helpers.cluster import health
from kubelab_helpers.errors import BlockedError, ExitStatus, KubelabError
from tests.unit.hosts.support import Answering


def kubeconfig_text(server: str) -> str:
    cluster, user = {"server": server}, {"token": "made-up"}
    context = {"cluster": "a", "user": "b"}
    return yaml.safe_dump(
        {
            "clusters": [{"name": "a", "cluster": cluster}],
            "users": [{"name": "b", "user": user}],
            "contexts": [{"name": "c", "context": context}],
            "current-context": "c",
        }
    )


@pytest.fixture
def dead_cluster(tmp_path: Path) -> Path:
    """Return the kubeconfig of an API server that does not run."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    target = tmp_path / "kubeconfig"
    target.write_text(kubeconfig_text(f"https://127.0.0.1:{port}"))
    return target


def test_without_a_kubeconfig_there_is_no_cluster(tmp_path: Path) -> None:
    with pytest.raises(BlockedError, match="there is no cluster here yet") as caught:
        health.read_nodes(tmp_path / "kubeconfig")
    assert caught.value.exit_status is ExitStatus.BLOCKED
    assert "kubelab up" in caught.value.next_step


def test_an_api_server_that_does_not_run(dead_cluster: Path) -> None:
    with pytest.raises(health.ApiError, match=r"the API server at https://127\.0\.0\.1:\d+ does not answer") as caught:
        health.read_nodes(dead_cluster)
    assert "made-up" not in f"{caught.value} {caught.value.next_step}"


def test_waiting_asks_again_until_it_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API that restarts for a moment is no failure."""
    monkeypatch.setattr(health, "POLL_SECONDS", 0.0)
    answers: Iterator[health.ApiError | str] = iter([health.ApiError("gone"), "node a is not Ready", ""])

    def missing() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    health.wait_until_none(missing, 5, "the cluster")
    assert list(answers) == []


def test_past_the_deadline_the_last_words_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "POLL_SECONDS", 0.01)
    with pytest.raises(KubelabError, match=r"the hub did not become healthy within 0\.05 s: pod hub: ImagePullBackOff"):
        health.wait_until_none(lambda: "pod hub: ImagePullBackOff", 0.05, "the hub")


def test_the_operators_kubeconfig_leads_where_this_machine_finds_the_api(tmp_path: Path) -> None:
    inner = kubeconfig_text("https://kubelab.kubelab.internal:6443")
    target = tmp_path / "folder" / "kubeconfig"
    health.write_kubeconfig(Answering(lambda _: inner.encode()), target, "https://127.0.0.1:7443")
    written = yaml.safe_load(target.read_text())
    assert written["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:7443"
    assert target.stat().st_mode & 0o777 == 0o600
